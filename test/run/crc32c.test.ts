import {expect} from 'chai';
import fc from 'fast-check';
import {crc32c, maskedCrc32c} from '../../src/run/crc32c.js';

/** Division of polynomials over GF(2), bit by bit, highest power first, with the polynomial as the standard prints it. */
function byDivision(bytes: Uint8Array): number {
  const reflect = (value: number, bits: number): number =>
    parseInt([...value.toString(2).padStart(bits, '0')].reverse().join(''), 2);
  let register = 0xffffffff;
  for (const byte of bytes) {
    register = (register ^ (reflect(byte, 8) << 24)) >>> 0;
    for (let i = 0; i < 8; i++) register = (register & 0x80000000 ? (register << 1) ^ 0x1edc6f41 : register << 1) >>> 0;
  }
  return (reflect(register, 32) ^ 0xffffffff) >>> 0;
}

describe('run/crc32c', () => {
  it('gives the check value e3069283 over "123456789"', () => {
    expect(crc32c(Buffer.from('123456789')).toString(16)).to.equal('e3069283');
  });

  it('gives the values of RFC 3720 for zeros, ones and a ramp', () => {
    expect(crc32c(new Uint8Array(32)).toString(16)).to.equal('8a9136aa');
    expect(crc32c(new Uint8Array(32).fill(0xff)).toString(16)).to.equal('62a8ab43');
    expect(crc32c(Uint8Array.from({length: 32}, (_, i) => i)).toString(16)).to.equal('46dd794e');
  });

  it('agrees with long division', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void expect(crc32c(bytes)).to.equal(byDivision(bytes))),
      {numRuns: 50},
    );
  });

  it('is masked by a rotation of 15 and a constant', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const crc = BigInt(crc32c(bytes));
        const rotated = ((crc >> 15n) | (crc << 17n)) & 0xffffffffn;
        expect(BigInt(maskedCrc32c(bytes))).to.equal((rotated + 0xa282ead8n) & 0xffffffffn);
      }),
      {numRuns: 50},
    );
  });
});
