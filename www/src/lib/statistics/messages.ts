/** What page and worker tell each other. */

/** A model as `Features.open` takes it: the URL of its folder, or files by path. */
export type GivenModel = string | Readonly<Record<string, Blob>>;

/** A file of the corpus, or a part of one: cut into documents by its name, as the command does. */
export interface Text {
  name: string;
  text: string;
}

/** How far a count is. `bytes`: of the text that was cut into documents. */
export interface Reached {
  documents: number;
  tokens: number;
  positions: number;
  bytes: number;
  done: boolean;
}

/** The files of `features/`, by their paths in the model folder. */
export type FeatureFiles = Record<string, Blob>;

export type ToWorker =
  | { type: 'begin'; model: GivenModel; name: string }
  | { type: 'add'; text: Text }
  /** No more text comes. */
  | { type: 'end' }
  /** Ends the count; what was counted is kept. */
  | { type: 'stop' }
  | { type: 'unpack'; archive: Blob };

export type FromWorker =
  | { type: 'loading'; done: number; total: number }
  | { type: 'reached'; reached: Reached }
  /** The files over what was counted so far. */
  | { type: 'snapshot'; files: FeatureFiles }
  /** The end: the last files (`null`: nothing was counted) and all of them in a zip archive; `failure`: why it ended early. */
  | { type: 'finished'; files: FeatureFiles | null; archive: Blob | null; failure: Failure | null };

export interface Failure {
  code: string;
  message: string;
}
