package protocol

import (
	"io"
	"strings"
)

// host is what stands in Host for the stack's site.
func (e env) host() string { return e.w.Addr(e.p, e.s.name) }

// rawAsk sends bytes to the stack's site, with line ends as HTTP has them, and
// returns what comes until the connection ends.
func (e env) rawAsk(request string) string {
	e.Helper()
	c := e.w.Dial(e.p, e.s.name)
	defer c.Close()
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		e.Fatal(err)
	}
	data, err := io.ReadAll(c)
	if err != nil {
		e.Fatalf("reading: %v (got %q)", err, data)
	}
	return string(data)
}
