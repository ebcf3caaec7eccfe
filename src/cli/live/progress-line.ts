import { createLogUpdate } from 'log-update';
import { stripTerminal } from '../../reports/escape.js';
import { painter } from '../../reports/terminal.js';
import { bar } from './frame.js';

/** Messages on one line of a terminal, with a bar where they say a percentage; one about something else begins a new line. */
export function createProgressLine(terminal: NodeJS.WriteStream) {
  const screen = createLogUpdate(terminal);
  const paint = painter(!process.env['NO_COLOR']);
  let subject: string | undefined;
  return {
    show: (message: string): void => {
      const [about] = message.split(':');
      if (subject !== undefined && subject !== about) screen.done();
      subject = about;
      const percent = /(?<!\d)(\d{1,3}) %/.exec(message)?.[1];
      const text = stripTerminal(message);
      screen(percent === undefined ? text : `${bar(Number(percent) / 100, paint)} ${text}`);
    },
    /** What is shown stays. */
    end: () => screen.done(),
  };
}
