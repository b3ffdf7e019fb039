/** What the runtime's words about a missing library mean to the person who reads them. */

/** Why a device cannot run, and what would help. */
export interface Trouble {
  readonly reason: string;
  readonly remedy: string;
}

const recipe = 'docs/engine.md has the recipe';

/** From the name of the library that could not be opened. */
function ofLibrary(library: string): Trouble | undefined {
  if (library.startsWith('libonnxruntime_providers_')) {
    return {
      reason: "onnxruntime's CUDA provider is not installed",
      remedy: `unpack it from the onnxruntime-gpu wheel of the same version (${recipe})`,
    };
  }
  if (library.startsWith('libcuda.so')) return {reason: 'there is no NVIDIA driver', remedy: 'install one that supports CUDA 13'};
  if (library.startsWith('libvulkan')) {
    return {reason: 'there is no Vulkan loader', remedy: `install libvulkan1 and the driver of your GPU (${recipe})`};
  }
  if (/^lib(cublas|cudart|curand|cudnn|cufft|nvrtc)/.test(library)) {
    return {reason: `the CUDA library ${library} is missing`, remedy: `put the CUDA 13 libraries on LD_LIBRARY_PATH (${recipe})`};
  }
  return undefined;
}

/**
 * Reads what a failed provider has said, on the console and in its exception.
 *
 * @returns undefined if it is nothing known.
 */
export function troubleIn(text: string): Trouble | undefined {
  // The last library named is the one that was looked for; those before it wanted it.
  for (const match of text.matchAll(/(?:^|[\s/])(lib[\w.+-]+?\.so[\w.]*): cannot open shared object file/g)) {
    const found = ofLibrary(match[1]);
    if (found) return found;
  }
  if (/CUDA failure 35|driver version is insufficient/.test(text)) {
    return {reason: 'the NVIDIA driver is too old for CUDA 13', remedy: 'update it'};
  }
  if (/CUDA failure 100|no CUDA-capable device/.test(text)) {
    return {reason: 'the NVIDIA driver sees no GPU', remedy: 'look at nvidia-smi and CUDA_VISIBLE_DEVICES'};
  }
  if (/WebGPU adapter|No supported adapters/.test(text)) {
    return {reason: 'no Vulkan driver offers a GPU', remedy: `install the driver of your GPU, or a software one (${recipe})`};
  }
  return undefined;
}
