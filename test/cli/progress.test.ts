import {expect} from 'chai';
import {duration, progressLine, progressText, shortNumber} from '../../src/cli/progress.js';

describe('cli/progress', () => {
  /** A stream that remembers, and a clock that we set. */
  function setUp(stream: {isTTY?: boolean; columns?: number} = {}): {
    text: () => string;
    line: ReturnType<typeof progressLine>;
    clock: {now: number};
  } {
    let text = '';
    const clock = {now: 100};
    const line = progressLine({write: (s: string) => (text += s), ...stream}, () => clock.now);
    return {text: () => text, line, clock};
  }
  const at = (iteration: number, fraction: number): Parameters<ReturnType<typeof progressLine>['update']>[0] => ({
    label: `iteration ${iteration}`,
    fraction,
    values: {reward: 0.41234, kl: 0.0000312},
  });

  it('writes a plain line per iteration where nobody watches, without escapes', () => {
    const {text, line, clock} = setUp();
    clock.now += 30;
    line.update(at(1, 0.25));
    line.note('a note');
    line.update(at(2, 1));
    line.end();
    expect(text()).to.equal(
      'iteration 1  reward 0.412  kl 3.1e-5  25 %  1m30s left\na note\niteration 2  reward 0.412  kl 3.1e-5  100 %\n',
    );
  });

  it('renews one line on a terminal, cut to its width, and leaves it standing', () => {
    const {text, line} = setUp({isTTY: true, columns: 30});
    line.update(at(1, 0));
    line.note('hello');
    line.end();
    line.end();
    const shown = 'iteration 1  reward 0.412  kl ';
    expect(text()).to.equal(`\r\u001b[2K${shown.slice(0, 29)}\r\u001b[2Khello\n${shown.slice(0, 29)}\n`);
  });

  it('leaves out of the time left what came before the beginning', () => {
    const {text, line, clock} = setUp();
    clock.now += 60;
    line.begin();
    clock.now += 10;
    line.update(at(1, 0.5));
    expect(text()).to.equal('iteration 1  reward 0.412  kl 3.1e-5  50 %  10s left\n');
  });

  it('reckons the time left from the part that is done', () => {
    expect(progressText({label: 'x', fraction: 0.1, values: {}}, 10)).to.equal('x  10 %  1m30s left');
    expect(progressText({label: 'x', fraction: 0, values: {}}, 10)).to.equal('x  0 %');
    expect(progressText({label: 'x', fraction: 1.5, values: {}}, 10)).to.equal('x  100 %');
  });

  it('says numbers in few letters', () => {
    expect([0, 12, -3, 123456, 0.41234, -0.0123456, 1234.5, 3.12e-5, 1.5e7, NaN].map(shortNumber)).to.deep.equal([
      '0',
      '12',
      '-3',
      '123456',
      '0.412',
      '-0.0123',
      '1230',
      '3.1e-5',
      '1.5e+7',
      'NaN',
    ]);
  });

  it('says durations as people do', () => {
    expect([0.4, 8, 59.6, 65, 3599, 3661, 7380].map(duration)).to.deep.equal([
      '0s',
      '8s',
      '1m00s',
      '1m05s',
      '59m59s',
      '1h01m',
      '2h03m',
    ]);
  });
});
