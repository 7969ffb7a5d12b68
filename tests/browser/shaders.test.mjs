// Every kernel compiles in Chromium: Tint refuses shaders that naga accepts (barriers in non-uniform control flow).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assembledShader, assembleShaders, dense, forBrowsers, isOperatorShader, kernelNames } from '../../scripts/shaders.mjs';
import { launch, openPage, serveBlank } from './harness.mjs';

let server;
let browser;
let opened;

before(async () => {
  await assembleShaders();
  server = await serveBlank();
  browser = await launch();
  opened = await openPage(browser, server.url);
});

after(async () => {
  await opened?.close();
  await browser?.close();
  await server?.close();
});

/** Runs in the page: what the compiler says of the module and of each entry point's pipeline. */
async function compile({ code, entryPoints, constants }) {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice({
    requiredFeatures: [...adapter.features].filter((name) => name === 'subgroups' || name === 'shader-f16'),
    requiredLimits: {
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: adapter.limits.maxStorageBuffersPerShaderStage,
    },
  });
  const errors = [];
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  for (const { type, lineNum, message } of (await module.getCompilationInfo()).messages) {
    if (type === 'error') errors.push(`line ${lineNum}: ${message}`);
  }
  for (const entryPoint of errors.length > 0 ? [] : entryPoints) {
    await device
      .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint, constants } })
      .catch((error) => errors.push(`${entryPoint}: ${error.message}`));
  }
  const scope = await device.popErrorScope();
  if (scope && errors.length === 0) errors.push(scope.message);
  device.destroy();
  return errors;
}

const kernels = kernelNames();

test('there are kernels', () => assert.ok(kernels.length > 0));

for (const name of kernels) {
  test(`${name} compiles`, async () => {
    const text = assembledShader(name);
    const code = forBrowsers(isOperatorShader(name) ? dense(text) : text);
    const entryPoints = [...code.matchAll(/@compute\b[^{;]*?\bfn\s+(\w+)/g)].map(([, entry]) => entry);
    assert.ok(entryPoints.length > 0, `${name} has no @compute entry point`);
    // Sizes that the model gives have no default: 64 is a plausible one for each.
    const sizes = [...code.matchAll(/\boverride\s+(\w+)\s*(?::\s*\w+\s*)?;/g)].map(([, size]) => [size, 64]);
    const constants = Object.fromEntries(sizes);
    const errors = await opened.page.evaluate(compile, { code, entryPoints, constants });
    assert.deepEqual(errors, []);
  });
}
