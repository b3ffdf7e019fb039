/**
 * Moves the `k` smallest of the first `n` values to the front, in no order, and returns the k-th smallest (from 0).
 * The values are permuted in place.
 *
 * @source Hoare 1961, Algorithm 65: FIND.
 */
export function selectSmallest(values: Float32Array, n: number, k: number): number {
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const pivot = values[k];
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const v = values[i];
        values[i++] = values[j]!;
        values[j--] = v;
      }
    }
    if (j < k) low = i;
    if (k < i) high = j;
  }
  return values[k];
}
