/** What was dropped: files, and those in folders, with their paths. */

export interface Dropped {
  /** From what was dropped on: `photo.jpg`, `holiday/photo.jpg`. */
  path: string;
  file: File;
}

/** Whether files are dragged, and not a text. */
export const hasFiles = (event: DragEvent): boolean =>
  event.dataTransfer?.types.includes("Files") ?? false;

/** Must be called while the drop is handled: what was dropped is gone afterwards. */
export async function dropped(transfer: DataTransfer): Promise<Dropped[]> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.every((entry) => entry === null)) {
    return Array.from(transfer.files, (file) => ({ path: file.name, file }));
  }
  const found: Dropped[] = [];
  for (const entry of entries) if (entry) await walk(entry, "", found);
  return found;
}

/** Files that were chosen; in a chosen folder they have a path. */
export const chosen = (files: Iterable<File>): Dropped[] =>
  Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));

async function walk(entry: FileSystemEntry, above: string, into: Dropped[]): Promise<void> {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    into.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives them in portions, until there are no more.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return;
    for (const one of some) await walk(one, `${path}/`, into);
  }
}
