/** Where what ships with the preset `mini` lies: its policy, encoder and map. */

/** The build copies `assets/` into `dist/`, so the way is the same from source and built. */
export const miniAsset = (name: 'policy' | 'encoder-a' | 'map-a'): URL =>
  new URL(`../../assets/fluentClips-mini-${name}.safetensors`, import.meta.url);
