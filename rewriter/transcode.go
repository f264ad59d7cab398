package rewriter

import (
	"io"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// NewTranscoder returns a writer that turns a page in one of the encodings
// [Charset] reports as not readable into UTF-8 and writes it to dst, where it
// can be read. It never fails by itself: what is no character becomes U+FFFD, as
// in browsers. Close writes what an incomplete character at the end stands for.
// Encodings outside the Encoding Standard get nil.
func NewTranscoder(label string, dst io.Writer) io.WriteCloser {
	e, err := htmlindex.Get(label)
	if err != nil {
		return nil
	}
	return transform.NewWriter(dst, e.NewDecoder())
}
