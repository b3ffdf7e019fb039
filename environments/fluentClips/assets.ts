/** Where what ships with the preset `mini` lies: its policy, encoders and map. */

/** The build copies `assets/` into `dist/`, so the way is the same from source and built. */
export const miniAsset = (name: 'policy' | 'encoder-a' | 'encoder-b' | 'map-a'): URL =>
  new URL(`../../assets/fluentClips-mini-${name}.safetensors`, import.meta.url);
