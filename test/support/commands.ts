/** Says that it runs, then waits until somebody writes the file `go`, and says that it went on. */
export const UNTIL_GO = "echo started; until [ -e go ]; do sleep 0.05; done; echo went on";
