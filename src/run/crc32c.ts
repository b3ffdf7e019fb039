/** CRC-32C (Castagnoli), as TensorBoard's files carry it. Not the CRC-32 of zlib: another polynomial. */

/** Remainders of all bytes by the reversed polynomial 0x82F63B78. */
const table = Uint32Array.from({length: 256}, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
  return remainder;
});

/**
 * Checksum of bytes, unsigned.
 *
 * @source RFC 3720, appendix B.4; its check value over "123456789" is e3069283.
 */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ table[(remainder ^ byte) & 0xff];
  return ~remainder >>> 0;
}

/** The checksum as TFRecord files hold it: rotated and shifted, since a checksum of checksums would be weak. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
