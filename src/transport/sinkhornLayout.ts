/** Where the numbers of a transport problem lie in the memory of the kernel that solves it. */

/** Rows whose sums are taken together. */
export const GROUP = 4;
/** Floats of a step along a row: two vectors, so that sums do not wait for one another. */
export const STEP = 8;
/** The log weight of padding: so small that no sum changes it, and 2 to its power is 0 for all purposes. */
export const NO_WEIGHT = -1e30;

/** Where the module's numbers lie: byte offsets, each of a vector of four equal floats unless said otherwise. */
export interface KernelLayout {
  /** −log₂e/ε. */
  readonly scale: number;
  /** τ. */
  readonly exponent: number;
  readonly ceiling: number;
  /** The tolerance, in bits. */
  readonly tolerance: number;
  /** m and log₂ m, if the total is prescribed. */
  readonly mass: number;
  readonly logMass: number;
  /** Results: rounds as integers; largest change of the last; smallest and largest log₂ K; level in bits. */
  readonly rounds: number;
  readonly change: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
  /** Results of four lanes to be added: ΣP and the marginal error. */
  readonly moved: number;
  readonly error: number;
  /** a and b; log₂ a and log₂ b; log₂ u and log₂ v; u; v; K·v; Kᵀ·u. */
  readonly a: number;
  readonly b: number;
  readonly logA: number;
  readonly logB: number;
  readonly logU: number;
  readonly logV: number;
  readonly u: number;
  readonly v: number;
  readonly rowSums: number;
  readonly columnSums: number;
  /** All bits set for each column that there is. */
  readonly present: number;
  /** Costs, and in the end the plan: `rows` rows, `columns` floats apart. */
  readonly plain: number;
  /** K: `paddedRows` rows, `stride` floats apart. */
  readonly kernel: number;
  readonly rows: number;
  readonly columns: number;
  readonly paddedRows: number;
  readonly stride: number;
  readonly bytes: number;
}

const upTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** The layout for problems of a shape. */
export function kernelLayout(rows: number, columns: number): KernelLayout {
  const [paddedRows, stride] = [upTo(rows, GROUP), upTo(columns, STEP)];
  let bytes = 0;
  const room = (floats: number): number => {
    const at = bytes;
    bytes += 4 * floats;
    return at;
  };
  return {
    scale: room(4),
    exponent: room(4),
    ceiling: room(4),
    tolerance: room(4),
    mass: room(4),
    logMass: room(4),
    rounds: room(4),
    change: room(4),
    low: room(4),
    high: room(4),
    level: room(4),
    moved: room(4),
    error: room(4),
    a: room(paddedRows),
    b: room(stride),
    logA: room(paddedRows),
    logB: room(stride),
    logU: room(paddedRows),
    logV: room(stride),
    u: room(paddedRows),
    v: room(stride),
    rowSums: room(paddedRows),
    columnSums: room(stride),
    present: room(stride),
    plain: room(upTo(rows * columns + STEP, 4)),
    kernel: room(paddedRows * stride),
    rows,
    columns,
    paddedRows,
    stride,
    bytes,
  };
}
