import type { ReactElement } from "react";
import type { Io } from "../lib/io.ts";

/** A live screen: what it shows is set from outside, as often as there is something new. */
export interface Screen<P extends object> {
  show(props: P): void;
  /** Leaves the last frame standing, or takes it away where what follows says it all. */
  end(options?: { clear?: boolean }): Promise<void>;
}

type Component<P extends object> = (props: P) => ReactElement;

/**
 * Draws a component on stdout and redraws it with new props. Ink, React and the component are imported here, so that a
 * pipe never waits for them; and stdin is left alone unless the component reads keys, so that Ctrl-C stays a signal.
 * @param options.isWhole takes the whole terminal, and gives it back as it was
 */
export async function openScreen<P extends object>(
  io: Io,
  load: () => Promise<Component<P>>,
  first: P,
  { isWhole = false } = {},
): Promise<Screen<P>> {
  const { render, createElement, component } = await loadUi(io, load);
  let shown = createElement(component, first);
  const draw = () => render(shown, { ...inkOptions(io), alternateScreen: isWhole });
  let instance = draw();
  io.terminal.isDrawn = true;
  // Ctrl-Z: the frame is left, and after fg one is drawn below what the shell has written since.
  const suspend = () => {
    instance.unmount();
    process.off("SIGTSTP", suspend);
    // Here it stands until fg, or goes on at once where no shell could bring it back.
    process.kill(process.pid, "SIGTSTP");
    process.on("SIGTSTP", suspend);
    instance = draw();
  };
  process.on("SIGTSTP", suspend);
  return {
    show(props) {
      shown = createElement(component, props);
      instance.rerender(shown);
    },
    async end({ clear = false } = {}) {
      process.off("SIGTSTP", suspend);
      if (clear) instance.rerender(null);
      instance.unmount();
      await instance.waitUntilExit();
      io.terminal.isDrawn = false;
    },
  };
}

/** Shows a component that ends by itself, with what it ends with. It reads the keyboard, Ctrl-C too. */
export async function askScreen<P extends object, T>(
  io: Io,
  load: () => Promise<Component<P & { done: (value: T) => void }>>,
  props: P,
): Promise<T> {
  const { render, createElement, component } = await loadUi(io, load);
  const { promise, resolve } = Promise.withResolvers<T>();
  const instance = render(createElement(component, { ...props, done: resolve }), inkOptions(io));
  try {
    return await promise;
  } finally {
    instance.rerender(null);
    instance.unmount();
    await instance.waitUntilExit();
  }
}

/** What they read of the environment they read when they are imported: first it is made ready. */
async function loadUi<C>(io: Io, load: () => Promise<C>) {
  // React is slower and chattier unless told otherwise; Ink's colours know FORCE_COLOR only.
  process.env.NODE_ENV ??= "production";
  if (!io.color) {
    process.env.FORCE_COLOR = "0";
    delete process.env.NO_COLOR;
  }
  const [{ render }, { createElement }, component] = await Promise.all([
    import("ink"),
    import("react"),
    load(),
  ]);
  return { render, createElement, component };
}

function inkOptions({ stdout, stdin, stderr }: Io) {
  return { stdout, stdin, stderr, exitOnCtrlC: false, patchConsole: false };
}
