/** What `--engine` takes. */
export type EngineChoice = "auto" | "native" | "wasm";

/** The engine in use, as provenance and the first line of a run name it. */
export interface Engine {
  readonly kind: "native" | "wasm";
  /** For example `libtensorflow 2.21.0` or `tfjs-backend-wasm 4.22.0`. */
  readonly version: string;
  /** The CPU or GPU it runs on, in words. */
  readonly device: string;
  readonly threads: number;
  /** One line: why this engine and not the other. */
  readonly reason: string;
}
