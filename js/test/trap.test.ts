import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calledByEngine, isOwnTrap } from '../src/trap.ts';

const trap = (stack: string | undefined) => Object.assign(new WebAssembly.RuntimeError('unreachable'), { stack });

/** Stacks as browsers write them: of a call by the engine, of a trap in it, of one in another module, of a page's own function. */
const STACKS = {
  Chromium: {
    called:
      'Error\n    at tell (http://h/host.js:1:2)\n    at http://h/topk_lm.js:3:4\n    at wasm://wasm/0067fcde:wasm-function[881]:0x1234',
    engine: 'RuntimeError: unreachable\n    at wasm://wasm/0067fcde:wasm-function[9]:0x12\n    at real (http://h/topk_lm.js:3:4)',
    other: 'RuntimeError: unreachable\n    at f (wasm://wasm/other.wasm-1167fcde:wasm-function[0]:0x12)\n    at http://h/page.js:3:4',
    page: 'RangeError: Maximum call stack size exceeded\n    at again (http://h/page.js:3:4)\n    at again (http://h/page.js:3:4)',
  },
  Firefox: {
    called:
      'tell@http://h/host.js:1:2\n@http://h/topk_lm.js:3:4\n@http://h/host.js line 8 > WebAssembly.Module:wasm-function[881]:0x1234\n',
    engine: '@http://h/host.js line 8 > WebAssembly.Module:wasm-function[9]:0x12\nreal@http://h/topk_lm.js:3:4\n',
    other: 'wasm-function[0]@http://h/other.wasm:wasm-function[0]:0x12\n@http://h/page.js:3:4\n',
    page: 'again@http://h/page.js:3:4\nagain@http://h/page.js:3:4\n',
  },
  Safari: {
    called: 'tell@http://h/host.js:1:2\n@http://h/topk_lm.js:3:4\nwasm-stub@[wasm code]\n<?>.wasm-function[881]@[wasm code]',
    engine: '<?>.wasm-function[9]@[wasm code]\nwasm-stub@[wasm code]\nreal@http://h/topk_lm.js:3:4',
    other: undefined, // no different from the engine's
    page: 'again@http://h/page.js:3:4\nagain@http://h/page.js:3:4',
  },
};

test('a trap that nobody caught is told by its stack, in every browser’s words', (t) => {
  const { prepareStackTrace } = Error;
  t.after(() => (Error.prepareStackTrace = prepareStackTrace));
  for (const { engine, page } of Object.values(STACKS)) {
    assert.ok(isOwnTrap(trap(engine)), 'before the engine has called anything');
    assert.ok(!isOwnTrap(trap(page)));
  }
  for (const [browser, { called, engine, other, page }] of Object.entries(STACKS)) {
    Error.prepareStackTrace = () => called;
    calledByEngine();
    assert.ok(isOwnTrap(trap(engine)), browser);
    assert.ok(!isOwnTrap(trap(page)), browser);
    if (other !== undefined) assert.ok(!isOwnTrap(trap(other)), browser);
    Error.prepareStackTrace = () => 'Error'; // a page that wants no frames
    calledByEngine();
    assert.ok(isOwnTrap(trap(engine)), browser);
  }
  for (const silent of [undefined, '', 'RuntimeError: unreachable']) assert.ok(isOwnTrap(trap(silent)));
  for (const other of [new Error('unreachable'), new RangeError('Invalid array length'), undefined, 'unreachable']) {
    assert.ok(!isOwnTrap(other));
  }
});
