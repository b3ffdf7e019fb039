/** What the engine and its worker thread say to each other. Buffers are transferred, never shared. */
import type {DType} from '../tensor/ndarray.js';

/** An array on its way between threads. */
export interface Packet {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** One input of a run: an array that comes along, or the number of a resident one. */
export type Feed = Packet | number;

/** Settings of every session that the worker opens. */
export interface SessionSettings {
  readonly provider: 'cpu' | 'cuda' | 'webgpu';
  readonly threads: number;
}

/** What the engine asks of its worker. */
export type Request =
  | {readonly kind: 'configure'; readonly settings: SessionSettings}
  | {
      readonly kind: 'compile';
      readonly program: number;
      readonly model: Uint8Array;
      readonly outputs: readonly Omit<Packet, 'data'>[];
      readonly profile?: string;
    }
  | {readonly kind: 'put'; readonly arrays: readonly {readonly id: number; readonly packet: Packet}[]}
  | {readonly kind: 'get'; readonly ids: readonly number[]}
  | {readonly kind: 'free'; readonly ids: readonly number[]}
  | {
      readonly kind: 'run';
      readonly program: number;
      readonly feeds: readonly Feed[];
      /** For each output the resident array it replaces, or null to send it back. */
      readonly targets: readonly (number | null)[];
      /** Outputs that must be finite, else no resident array is replaced. */
      readonly guards: readonly number[];
    };

/** What the worker answers. */
export type Answer =
  | {readonly kind: 'done'}
  /** `whole` is false if the runtime put some nodes on the CPU instead of the provider. */
  | {readonly kind: 'compiled'; readonly whole: boolean}
  | {readonly kind: 'arrays'; readonly arrays: readonly Packet[]}
  /** `applied` is false if a guard was not finite. */
  | {readonly kind: 'ran'; readonly outputs: readonly (Packet | null)[]; readonly applied: boolean; readonly seconds: number}
  | {readonly kind: 'failed'; readonly message: string};

/** A message with the number that joins an answer to its request. */
export interface Envelope<T> {
  readonly id: number;
  readonly body: T;
}
