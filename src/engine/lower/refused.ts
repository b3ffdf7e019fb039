/** Kernels that stay without a lowering, each with its reason; and those that tfjs-core never asks for. */

const complex = 'complex numbers have no place in an ONNX graph; work with real and imaginary parts as two tensors';
const strings = 'strings have no place in a numeric graph; tokenise before';
const ragged = 'its result has a shape that depends on the data, and shapes of a graph are fixed';
const pixels = 'it reads or writes pictures of a browser';
const sparse = 'sparse tensors are not used here; tf.scatterND and tf.gatherND are lowered';
const morphology = 'morphology is not used here; tf.maxPool is lowered';
const boxes = 'detection is not used here';

/** Why a kernel is refused, and what to do instead. */
export const refused: Readonly<Record<string, string>> = {
  Complex: complex,
  ComplexAbs: complex,
  FFT: complex,
  IFFT: complex,
  Imag: complex,
  Real: complex,
  StaticRegexReplace: strings,
  StringNGrams: strings,
  StringSplit: strings,
  StringToHashBucketFast: strings,
  RaggedGather: ragged,
  RaggedRange: ragged,
  RaggedTensorToTensor: ragged,
  Unique: ragged,
  SparseFillEmptyRows: sparse,
  SparseReshape: sparse,
  SparseSegmentMean: sparse,
  SparseSegmentSum: sparse,
  SparseToDense: sparse,
  Draw: pixels,
  FromPixels: pixels,
  CropAndResize: boxes,
  NonMaxSuppressionV3: boxes,
  NonMaxSuppressionV4: boxes,
  NonMaxSuppressionV5: boxes,
  BroadcastArgs: 'it computes a shape, and shapes of a graph are fixed: compute it in JavaScript',
  Multinomial:
    'it draws random numbers, which would be frozen: pass uniforms as an input and compare them with the cumulative sum',
  Bincount: 'sum tf.oneHot over the examples',
  DenseBincount: 'sum tf.oneHot over the examples',
  Dilation2D: morphology,
  Dilation2DBackpropFilter: morphology,
  Dilation2DBackpropInput: morphology,
  LRN: 'use a normalisation of src/models/norms.ts',
  LRNGrad: 'use a normalisation of src/models/norms.ts',
  MaxPoolWithArgmax: 'tf.maxPool and its gradient are lowered',
  RotateWithOffset: 'resample with tf.gatherND and weights of your own',
  Transform: 'resample with tf.gatherND and weights of your own',
};

/** Kernels that tfjs-core's operators (or the gradients here) never run, and what runs instead. */
export const neverRun: Readonly<Record<string, string>> = {
  AvgPoolGrad: 'Conv2DBackpropInput by a filter of ones',
  AvgPool3DGrad: 'Conv3DBackpropInputV2 by a filter of ones',
  BroadcastTo: 'Tile',
  EluGrad: 'Select and Multiply',
  LogSoftmax: 'Max, Sub, Exp, Sum, Log',
  LogicalXor: 'LogicalOr, LogicalAnd, LogicalNot',
  LowerBound: 'SearchSorted',
  MatrixBandPart: 'comparisons and Select',
  Pool: 'AvgPool or MaxPool',
  ResizeBilinearGrad: 'BatchMatMul by the resizing matrices',
  ResizeNearestNeighborGrad: 'BatchMatMul by the resizing matrices',
  UpperBound: 'SearchSorted',
};
