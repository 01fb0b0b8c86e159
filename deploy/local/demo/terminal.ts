// What the demo looks like: indented text, colours and a moving progress line on a terminal only.

export interface Terminal {
  title(text: string): void;
  line(text?: string): void;
  /** A value with its name before it: numbers line up, rows in brackets. */
  matrix(name: string, rows: readonly (readonly number[])[]): void;
  /** Replaces the last progress line on a terminal; silent elsewhere. */
  progress(text: string): void;
  /** Green on a terminal. */
  good(text: string): string;
}

export function createTerminal(stream: NodeJS.WriteStream): Terminal {
  const paint = (code: number, text: string) => (stream.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text);
  const line = (text = '') => {
    if (stream.isTTY) stream.write('\r\u001b[K'); // whatever progress was shown
    stream.write(text === '' ? '\n' : `  ${text}\n`);
  };
  return {
    line,
    title(text) {
      stream.write(`\n${paint(1, text)}\n\n`);
    },
    matrix(name, rows) {
      for (const text of formatMatrix(name, rows)) line(text);
    },
    progress(text) {
      if (stream.isTTY) stream.write(`\r\u001b[K  ${text}`);
    },
    good: text => paint(32, text),
  };
}

function formatMatrix(name: string, rows: readonly (readonly number[])[]): string[] {
  const width = Math.max(...rows.flat().map(value => String(value).length));
  return rows.map((row, index) => {
    const label = index === 0 ? `${name} = ` : ' '.repeat(name.length + 3);
    return `${label}[ ${row.map(value => String(value).padStart(width)).join(' ')} ]`;
  });
}
