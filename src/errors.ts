/**
 * One class per cause. A message reads `where: what was wanted; what came; what to do.`
 *
 * Everything that a user can cause is an `RlftError`: the command line prints its message on one line and no stack.
 */

/** Base of all errors that rlft raises on purpose. `exitCode` is what the command line exits with. */
export class RlftError extends Error {
  readonly exitCode: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A wrong flag, key, type or range: the user's words, found before any work is done. */
export class ConfigError extends RlftError {
  override readonly exitCode: number = 2;
}

/** A name that no registry knows. */
export class UnknownNameError extends ConfigError {}

/** A tensor whose shape or dtype is not what the callee documents. */
export class ShapeError extends RlftError {}

/** A tfjs kernel that the engine has no lowering for. */
export class UnsupportedOpError extends RlftError {}

/** A function read tensor data while it was being traced, so its result would be frozen into the graph. */
export class TracedReadError extends RlftError {}

/** A device that was asked for by name and cannot run here. */
export class DeviceError extends RlftError {
  override readonly exitCode: number = 2;
}

/** NaN or infinity where a number was wanted; nothing was applied. */
export class NonFiniteError extends RlftError {
  override readonly exitCode: number = 3;
}

/** A plug-in broke its contract. */
export class ContractError extends RlftError {}

/** A file that is truncated, altered or not what its name says. */
export class CorruptFileError extends RlftError {}
