/**
 * What maps of captions to videos do to an encoder's space: the paper's table 4 and figures 5 and 6, with measures that it does
 * not have: Fréchet distance, retrieval, exchanged attributes, and the ranking of a policy's samples.
 *
 * @source PISCES, arXiv:2602.01624, table 4, figures 5 and 6.
 */
import {join} from 'node:path';
import type {FrozenEncoder} from '../encoder.js';
import type {Device} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {intervalOf, resample, type Interval, type Resampled} from '../evaluate/bootstrap.js';
import {openEncoderSession, type EncoderSession} from '../evaluate/encoderSession.js';
import {clipPairs, collectPairs, type CaptionedPairs} from '../fit/embedPairs.js';
import type {fitStreams} from '../fit/fitTransport.js';
import {applyMap} from '../fit/measureMap.js';
import {principalAxes} from '../numeric/principalAxes.js';
import {lineChart, type ChartLine} from '../report/lineChart.js';
import type {Picture} from '../report/pictures.js';
import {scatterPlot} from '../report/scatterPlot.js';
import {hashParams} from '../run/hashParams.js';
import {writeWeights} from '../run/weights.js';
import {concatRows, float32, type NdArray} from '../tensor/ndarray.js';
import {mapKind, type MapName, type TransportMap} from '../transport/maps/transportMap.js';
import {pairDistances, unitRows} from '../transport/metrics/distances.js';
import {attributeShift} from '../transport/metrics/retrieval.js';
import {captionMeasures, captionStatistics, type CaptionMeasure} from './captionStatistics.js';
import {fitMaps, type MapsPlan} from './fitMaps.js';
import {
  embedSamples,
  forEachJudged,
  judgedBy,
  judgedSamples,
  mapRewards,
  rankAgreement,
  type JudgedBy,
  type SamplesPlan,
} from './rankSamples.js';
import {neighbourhoods} from './neighbourhoods.js';
import type {Cell, Study, StudyProgress, StudyTable} from './study.js';
import {allOf, claim, type Claim} from './verdict.js';

/** What to compare and how. */
export interface AlignmentStudyRequest {
  readonly environment: Environment;
  readonly frozen: FrozenEncoder;
  readonly device: Device;
  /** Stream of clips that stand for real videos. */
  readonly clips: (typeof fitStreams)[number];
  /** Clips to fit to, and the first clips of the stream, which are measured on. */
  readonly pairs: number;
  readonly heldOut: number;
  readonly maps: MapsPlan;
  /** k of the mutual kNN. */
  readonly neighbours: number;
  /** Samples of a policy to rank; undefined: none are. */
  readonly ranking: SamplesPlan | undefined;
  /** The smallest difference that counts. */
  readonly margin: number;
  readonly seed: number;
  /** Draws of the bootstrap. */
  readonly draws: number;
  /** Where the maps are written, for use as a transport map. */
  readonly folder: string;
  readonly report: (progress: StudyProgress) => void;
}

/** What the paper measured: mutual kNN and Spearman's ρ of distances. */
const paper: Partial<Record<MapName, string>> = {
  identity: '.2135, -',
  l2: '.2318, .4873',
  kl: '.2284, .4720',
  neural: '.2597, .9018',
};

/** Threads that render clips. */
const RENDER_THREADS = 1;

/** A statistic of every map, resampled together. */
export interface MapStatistics {
  readonly of: (map: MapName) => Interval;
  /** Of a function of the maps' statistics. */
  readonly combined: (value: (of: (map: MapName) => number) => number) => Interval;
}

/** Statistics of all maps by their place in what was resampled. */
export function mapStatistics(names: readonly MapName[], resampled: Resampled, offset: number, step: number): MapStatistics {
  const combined: MapStatistics['combined'] = (value) =>
    intervalOf(resampled, (all) => value((map) => all[offset + step * names.indexOf(map)]));
  return {of: (map) => combined((of) => of(map)), combined};
}

/** The claims of the paper, and one of ours: that what is better aligned is the better reward. */
export function alignmentClaims(
  measured: Readonly<Partial<Record<CaptionMeasure, MapStatistics>>>,
  ranking: MapStatistics | undefined,
  margin: number,
): readonly Claim[] {
  const rivals = ['l2', 'kl'] as const;
  const lead = (statistics: MapStatistics, others: readonly MapName[]): Interval =>
    statistics.combined((of) => of('neural') - Math.max(...others.map(of)));
  const made = (name: string, says: string, paperSays: string, interval: Interval): Claim =>
    claim({name, says, paper: paperSays, measured: interval, threshold: margin});
  const {mutualKnn, structure} = measured;
  return [
    ...(mutualKnn
      ? [
          made('neighbours', 'neural shares more neighbours than l2 and kl', '+.0279', lead(mutualKnn, rivals)),
          made('neighbours over none', 'neural shares more neighbours than no map', '+.0462', lead(mutualKnn, ['identity'])),
        ]
      : []),
    ...(structure ? [made('structure', 'neural keeps more structure than l2 and kl', '+.4145', lead(structure, rivals))] : []),
    ...(ranking
      ? [
          made(
            'ranking',
            'the reward of neural ranks samples more like the judge than those of no map, l2 and kl',
            '',
            lead(ranking, ['identity', ...rivals]),
          ),
        ]
      : []),
  ];
}

/** How far apart the points of a set lie, as a curve. */
function distanceCurve(name: string, set: NdArray<'float32'>): ChartLine {
  const distances = pairDistances(unitRows(set)).map(Math.sqrt);
  const BINS = 40;
  const counts = new Float64Array(BINS);
  // Points of length 1 are at most 2 apart.
  for (const distance of distances) counts[Math.min(BINS - 1, Math.floor((distance / 2) * BINS))]++;
  return {name, points: Array.from(counts, (n, bin) => ({x: (2 * (bin + 0.5)) / BINS, y: (n / distances.length) * (BINS / 2)}))};
}

/** The pictures: where captions and videos lie, along axes and by neighbours, and how far apart. */
async function picturesOf(
  {text, video}: CaptionedPairs,
  images: ReadonlyMap<MapName, NdArray<'float32'>>,
  seed: number,
): Promise<Readonly<Record<string, Picture>>> {
  const [neural, l2] = [images.get('neural')!, images.get('l2')!];
  const unit = (set: NdArray<'float32'>): NdArray<'float32'> => float32(unitRows(set).data, set.shape);
  const plane = principalAxes(concatRows([unit(text), unit(video), unit(neural)]), 2);
  const panel = (title: string, set: NdArray<'float32'>) => ({
    title,
    sets: [
      {name: 'captions', points: plane(unit(set))},
      {name: 'videos', points: plane(unit(video))},
    ],
  });
  const near = neighbourhoods(concatRows([video, text, neural, l2].map(unit)), seed);
  /** Points of the set that was the i-th. */
  const placed = (i: number): Float64Array => near.subarray(2 * i * video.shape[0], 2 * (i + 1) * video.shape[0]);
  return {
    'embeddings.png': await scatterPlot('captions and videos along two principal axes', [
      panel('no map', text),
      panel('neural', neural),
      panel('l2', l2),
    ]),
    'neighbourhoods.png': await scatterPlot(
      'captions and videos by their neighbours (UMAP)',
      ['no map', 'neural', 'l2'].map((title, i) => ({
        title,
        sets: [
          {name: 'captions', points: placed(i + 1)},
          {name: 'videos', points: placed(0)},
        ],
      })),
    ),
    'distances.png': await lineChart({
      title: 'distances between pairs of captions, and of videos',
      xLabel: 'distance on the unit sphere',
      yLabel: 'density',
      lines: [
        distanceCurve('captions', text),
        distanceCurve('neural', neural),
        distanceCurve('l2', l2),
        distanceCurve('videos', video),
      ],
    }),
  };
}

/** Embeds the pairs to measure on and to fit to. */
async function embedded(
  {environment, clips, heldOut, pairs, report}: AlignmentStudyRequest,
  session: EncoderSession,
): Promise<{heldOut: CaptionedPairs; train: CaptionedPairs}> {
  if (!environment.openClips) throw new ConfigError(`study: the environment ${environment.name} makes no clips of its own.`);
  const source = environment.openClips(clips, RENDER_THREADS);
  try {
    const from = clipPairs(session, source);
    const never = new AbortController().signal;
    const collect = async (first: number, count: number): Promise<CaptionedPairs> =>
      (await collectPairs(from, first, count, never, (done) =>
        report({stage: 'embedding', done: first + done, total: heldOut + pairs}),
      ))!;
    return {heldOut: await collect(0, heldOut), train: await collect(heldOut, pairs)};
  } finally {
    await source.close();
  }
}

/** Writes the maps as `rlft fit transport` does, so that a reward takes them. */
async function writeMaps({environment, frozen, folder}: AlignmentStudyRequest, maps: Iterable<TransportMap>): Promise<void> {
  for (const {name, params} of maps) {
    if (name === 'identity') continue;
    const metadata = {
      map: name,
      environment: environment.name,
      preset: environment.preset,
      encoder: frozen.encoder.name,
      encoderHash: hashParams(frozen.params),
      width: String(frozen.encoder.embeddingWidth),
    };
    await writeWeights(join(folder, `map-${name}.safetensors`), params, {floats: 'F16', metadata});
  }
}

/** What maps do to the attributes that captions find. */
function attributeTable(
  {encoderProbes}: Environment,
  {text, video, captions}: CaptionedPairs,
  images: ReadonlyMap<MapName, NdArray<'float32'>>,
): readonly StudyTable[] {
  if (!encoderProbes?.attributesOf) return [];
  const said = captions.map((caption) => encoderProbes.attributesOf!(caption));
  return [
    {
      title: 'share of captions whose nearest video has what they say; captions that the map led astray, and that it set right',
      rows: [...images].flatMap(([map, mapped]) =>
        Object.entries(attributeShift(text, mapped, video, said, said)).map(
          ([attribute, {count, before, after, lost, gained}]) => ({
            map,
            attribute,
            captions: count,
            before,
            after,
            lost,
            gained,
          }),
        ),
      ),
    },
  ];
}

/** Runs the study. */
export async function alignmentStudy(request: AlignmentStudyRequest): Promise<Study> {
  const {environment, frozen, device, neighbours, ranking, margin, seed, draws, report} = request;
  const session = await openEncoderSession(device, frozen.encoder, frozen.params);
  try {
    const {heldOut, train} = await embedded(request, session);
    const maps = await fitMaps(device, train, request.maps, report);
    await writeMaps(request, maps.values());
    const names = [...maps.keys()];
    const images = new Map<MapName, NdArray<'float32'>>();
    for (const [name, map] of maps) images.set(name, await applyMap(device, map, heldOut.text));

    report({stage: 'resampling', done: 0, total: draws});
    const statistics = names.map((name) => captionStatistics(heldOut, images.get(name)!, neighbours));
    const resampled = resample(
      heldOut.captions.length,
      (indices) => statistics.flatMap((own) => captionMeasures.map((measure) => own[measure](indices))),
      seed,
      draws,
    );
    const measured = Object.fromEntries(
      captionMeasures.map((measure, m) => [measure, mapStatistics(names, resampled, m, captionMeasures.length)]),
    ) as Record<CaptionMeasure, MapStatistics>;
    const ranked = ranking && (await rankings(request, session, ranking, maps));

    const claims = alignmentClaims(measured, ranked?.total, margin);
    const rankCells = (name: MapName): Record<string, Cell> =>
      ranked ? Object.fromEntries(judgedBy.map((by) => [`τ ${by}`, ranked[by].of(name)])) : {};
    return {
      name: 'alignment',
      source: 'PISCES, table 4, figures 5 and 6',
      tables: [
        {
          title: 'maps of captions to videos, on held-out pairs',
          rows: names.map((name) => ({
            map: name,
            pairs: mapKind(name).usesPairs ? 'used' : 'not used',
            'mutual kNN': measured.mutualKnn.of(name),
            structure: measured.structure.of(name),
            Fréchet: measured.frechet.of(name),
            retrieval: measured.retrieval.of(name),
            cosine: measured.cosine.of(name),
            'paper: kNN, structure': paper[name] ?? null,
            ...rankCells(name),
          })),
        },
        ...attributeTable(environment, heldOut, images),
      ],
      claims,
      verdict: {
        question: 'does neural transport align captions and videos better than maps that are told the pairs, and keep structure?',
        answer: allOf(claims.filter(({name}) => name !== 'ranking').map(({verdict}) => verdict)),
      },
      pictures: await picturesOf(heldOut, images, seed),
    };
  } finally {
    await session.close();
  }
}

/** Kendall's τ within prompts, of all maps, resampled over prompts. */
async function rankings(
  {environment, device, seed, draws, report}: AlignmentStudyRequest,
  session: EncoderSession,
  plan: SamplesPlan,
  maps: ReadonlyMap<MapName, TransportMap>,
): Promise<Readonly<Record<JudgedBy, MapStatistics>>> {
  const judged = judgedSamples(environment, device, plan, report);
  const embeddings = await embedSamples(judged, session, plan.samples);
  const rewards: (readonly number[])[] = [];
  for (const map of maps.values()) rewards.push(await mapRewards(device, map, embeddings, plan.samples));
  return forEachJudged((by) =>
    mapStatistics([...maps.keys()], rankAgreement(rewards, embeddings.scores[by], plan.samples, seed, draws), 0, 1),
  );
}
