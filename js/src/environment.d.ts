// biome-ignore-all lint/suspicious/noEmptyInterface: they are there for their names
/**
 * Names of the platform that the types of this package mention, for compilers that know some of them from nowhere (a Node project without
 * the library `dom`, TypeScript below 6 without @webgpu/types). Where the platform declares them, these empty ones merge into its own.
 */
interface AbortSignal {}
interface Blob {}
interface File extends Blob {}
interface FileList {}
interface GPUBuffer {}
interface GPUCommandEncoder {}
interface GPUDevice {}
interface MessagePort {}
interface Response {}
interface SymbolConstructor {
  readonly asyncDispose: unique symbol;
}
interface URL {}
declare namespace WebAssembly {
  interface Memory {}
  interface Module {}
}
