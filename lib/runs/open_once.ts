/** What is opened when it is first asked for, and closed only if it was. */
export interface Opened<Resource> extends AsyncDisposable {
  readonly open: () => Promise<Resource>;
}

/** Opens a resource once, however often it is asked for; `await using` disposes it at the end of the block. */
export function openOnce<Resource extends { dispose(): void } | undefined>(
  make: () => Promise<Resource>,
): Opened<Resource> {
  let opened: Promise<Resource> | undefined;
  return {
    open: () => opened ??= make(),
    async [Symbol.asyncDispose]() {
      // Who asked for it was told why it could not be opened.
      (await opened?.catch(() => undefined))?.dispose();
    },
  };
}
