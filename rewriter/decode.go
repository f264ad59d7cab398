package rewriter

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
)

var (
	// ErrUnsupportedCoding: a content coding is unknown to the decoder, or more
	// of them are stacked than it undoes.
	ErrUnsupportedCoding = errors.New("unsupported content coding")
	// ErrTooLarge: the decoded body breaks one of the Limits. Nothing beyond
	// the limit was written.
	ErrTooLarge = errors.New("decoded body too large")
	// ErrCorrupt: the body is not what its coding says, or ends too early. What
	// could be decoded before the fault was written.
	ErrCorrupt = errors.New("corrupt content coding")
)

// maxCodings is the number of stacked content codings the decoder undoes. More
// than one is a mistake already; a long stack is an attack.
const maxCodings = 2

// Limits bound what a small compressed body may turn into. Zero fields mean the
// defaults.
type Limits struct {
	// MaxRatio is the highest ratio of decoded to compressed bytes, looked at
	// once 1 MiB was decoded. Default 200.
	MaxRatio int
	// MaxOutput is the highest number of decoded bytes. Default 64 MiB.
	MaxOutput int64
	// MaxWindow is the largest window, in bytes, a zstd frame may ask for.
	// Default 8 MiB, which is what RFC 9659 allows in HTTP. The other codings
	// bound theirs by format: 32 KiB (gzip, deflate), 16 MiB (br), which the
	// decoder allocates only as far as the announced output needs it.
	MaxWindow int
}

// ratioGrace is the number of decoded bytes from which on the ratio counts:
// short bodies with long runs are no bombs.
const ratioGrace = 1 << 20

const defaultMaxWindow = 8 << 20

// maxBrotliWindow is the largest window of the format (RFC 7932, section 9.1).
const maxBrotliWindow = 16 << 20

func (l Limits) withDefaults() Limits {
	if l.MaxRatio <= 0 {
		l.MaxRatio = 200
	}
	if l.MaxOutput <= 0 {
		l.MaxOutput = 64 << 20
	}
	if l.MaxWindow <= 0 {
		l.MaxWindow = defaultMaxWindow
	}
	return l
}

// Codings returns the content codings of a message in the order they were
// applied, lower-case, without identity, from all Content-Encoding lines (RFC
// 9110, section 8.4). "x-gzip" is returned as "gzip".
func Codings(h http.Header) []string {
	var codings []string
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			switch coding = strings.ToLower(headerTrim(coding)); coding {
			case "", "identity":
			case "x-gzip":
				codings = append(codings, "gzip")
			default:
				codings = append(codings, coding)
			}
		}
	}
	return codings
}

// NarrowAcceptEncoding limits what the upstream may compress with to the
// codings a [Decoder] undoes, of those the client accepts. Shared dictionaries
// (RFC 9842) are withdrawn altogether: the client's copy of a page is not the
// upstream's. Without any coding left the field says "identity".
func NarrowAcceptEncoding(h http.Header) {
	h.Del("Available-Dictionary")
	h.Del("Dictionary-Id")
	var kept []string
	for _, line := range h["Accept-Encoding"] {
		for member := range strings.SplitSeq(line, ",") {
			member = headerTrim(member)
			coding, _, _ := strings.Cut(member, ";")
			// "identity;q=0" goes too: it would forbid the upstream what we
			// can always take.
			if decodable(strings.ToLower(headerTrim(coding))) {
				kept = append(kept, member)
			}
		}
	}
	if len(kept) == 0 {
		kept = []string{"identity"}
	}
	h["Accept-Encoding"] = []string{strings.Join(kept, ", ")}
}

func decodable(coding string) bool {
	switch coding {
	case "gzip", "x-gzip", "deflate", "br", "zstd":
		return true
	}
	return false
}

// A Decoder undoes content codings in a stream, from the pushing side: bytes go
// in by Write, decoded bytes come out at the destination before Write returns,
// as far as the coding allows (a block of zstd or deflate must be complete, or
// flushed by its encoder). The destination is only ever written to from inside
// Write and Close.
//
// The order of calls is Write any number of times, then Close at the clean end
// of the body, or Abort at any point. One of them must be called: a Decoder
// that was written to holds a stack and pooled memory until then. A Decoder is
// not safe for concurrent use, but calls may come from different goroutines one
// after the other.
type Decoder struct {
	codings []string // in the order of application
	dst     io.Writer
	limits  Limits

	// The decoding libraries pull, we are pushed. Their code therefore runs as
	// a coroutine: resume enters it, and it yields when the input is used up.
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool

	in      []byte // of the current Write, not yet read
	eof     bool   // Close was called
	aborted bool   // Abort was called: read and write nothing more
	ended   bool   // nothing more will be decoded
	err     error  // answer to all further calls
	outcome error  // how the coroutine ended; nil at the end of the coded data

	window  int   // largest one that a frame of zstd asked for
	taken   int64 // compressed bytes the libraries took
	written int64 // decoded bytes given to dst
}

// errAborted ends the libraries' reads after Abort.
var errAborted = errors.New("decoder aborted")

// NewDecoder returns a decoder for a body with the given codings, in the order
// of application as [Codings] returns them, which writes to dst. Without
// codings it copies. It fails with [ErrUnsupportedCoding], before any byte was
// taken, for unknown codings and for more than two.
func NewDecoder(codings []string, dst io.Writer, l Limits) (*Decoder, error) {
	if len(codings) > maxCodings {
		return nil, fmt.Errorf("%w: %d codings stacked, at most %d", ErrUnsupportedCoding, len(codings), maxCodings)
	}
	for _, coding := range codings {
		if !decodable(coding) {
			return nil, fmt.Errorf("%w: %q", ErrUnsupportedCoding, coding)
		}
	}
	return &Decoder{codings: slices.Clone(codings), dst: dst, limits: l.withDefaults()}, nil
}

// Write decodes b. It returns ErrCorrupt, ErrTooLarge (both wrapped) or the
// destination's own error, the same one on every later call. Bytes after the
// end of the coded data are ignored, as browsers do, except with zstd, where
// nothing but further frames may follow.
func (d *Decoder) Write(b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.ended || len(b) == 0 {
		return len(b), nil
	}
	if d.resume == nil {
		d.resume, d.stop = iter.Pull(d.run)
	}
	d.in = b
	d.step()
	d.in = nil
	if d.err != nil {
		return 0, d.err
	}
	return len(b), nil
}

// Close tells that the body ended, writes what is left and reports whether the
// coded data was complete. A body without any byte is complete.
func (d *Decoder) Close() error {
	if d.resume != nil && !d.ended && d.err == nil {
		d.eof = true
		d.step()
	}
	d.ended = true
	return d.err
}

// Abort drops what is left and releases the decoder's memory. Nothing is
// written to the destination from here on. After Close it does nothing.
func (d *Decoder) Abort() {
	if d.ended {
		return
	}
	d.aborted, d.ended = true, true
	if d.stop != nil {
		d.stop()
	}
	d.err = errAborted
}

// Memory estimates the bytes the Decoder keeps: what its libraries need for
// their windows and buffers.
func (d *Decoder) Memory() int {
	n := 0
	for _, coding := range d.codings {
		switch coding {
		case "zstd":
			n += 128<<10 + d.window
		case "br":
			n += 128<<10 + int(min(maxBrotliWindow, d.written))
		default:
			n += 80 << 10
		}
	}
	return n
}

// step lets the libraries work until they have used up the input or come to an
// end. Should they or the destination panic, the panic surfaces here, and the
// error that was set beforehand stays.
func (d *Decoder) step() {
	d.err = errAborted
	_, more := d.resume()
	if more {
		d.err = nil
		return
	}
	d.ended, d.err = true, d.outcome
}
