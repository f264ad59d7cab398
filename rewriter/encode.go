package rewriter

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// gzipLevel is the lowest that makes pages about as small as zlib's usual level
	// does, of which it takes a third of the time (docs/encodings.md).
	gzipLevel = 5
	// zstdWindow bounds the memory of a stream. Few pages gain by a larger one.
	zstdWindow = 512 << 10
)

// A codec is what the libraries' writers have in common. Reset drops what is
// unwritten.
type codec interface {
	io.WriteCloser
	Flush() error
	Reset(dst io.Writer)
}

var (
	gzipEncoders = sync.Pool{New: func() any {
		w, err := gzip.NewWriterLevel(nil, gzipLevel)
		if err != nil {
			return err
		}
		return w
	}}
	brotliEncoders = sync.Pool{New: func() any { return newBrotliWriter() }}
	zstdEncoders   = sync.Pool{New: func() any {
		// With one block at a time it starts no goroutines.
		w, err := zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow))
		if err != nil {
			return err
		}
		return w
	}}
)

// encoders returns the pool of a coding's codecs, nil for codings that are not
// applied.
func encoders(coding string) *sync.Pool {
	switch coding {
	case "gzip":
		return &gzipEncoders
	case "br":
		return &brotliEncoders
	case "zstd":
		return &zstdEncoders
	}
	return nil
}

// An Encoder applies one content coding to a stream. What goes in by Write comes
// out at the destination once the coding's block is full (64 KiB or 128 KiB of
// the page), or at the next Flush. The destination is only ever written to from
// inside Write, Flush and Close, and no goroutine is started.
//
// The order of calls is Write and Flush any number of times, then Close at the
// clean end of the body, or Abort at any point. One of them must be called. An
// Encoder is not safe for concurrent use, but calls may come from different
// goroutines one after the other.
type Encoder struct {
	sink  encoderSink
	pool  *sync.Pool
	codec codec // nil before the first byte, and after the end
	dirty bool  // bytes were written that no Flush followed
	ended bool  // Close or Abort was called
	err   error // answer to all further calls
}

var (
	errEncoderClosed  = errors.New("encoder closed")
	errEncoderAborted = errors.New("encoder aborted")
)

// NewEncoder returns an encoder for a coding as [AcceptedCoding] returns it: gzip,
// br or zstd; "" copies. With any other all calls fail with
// [ErrUnsupportedCoding]. Memory is taken at the first byte.
func NewEncoder(coding string, dst io.Writer) *Encoder {
	e := &Encoder{sink: encoderSink{dst: dst}, pool: encoders(coding)}
	if e.pool == nil && coding != "" {
		e.err = fmt.Errorf("%w: %q", ErrUnsupportedCoding, coding)
	}
	return e
}

// Capacity returns about how much memory a stream of this coding takes, in bytes.
// It is an estimate by measurement, the same for every page.
func (e *Encoder) Capacity() int {
	switch e.pool {
	case &gzipEncoders:
		return 1100 << 10
	case &brotliEncoders:
		return 3100 << 10
	case &zstdEncoders:
		return 1200 << 10
	}
	return 0
}

// Write encodes b. It returns the destination's own error, the same one on every
// later call.
func (e *Encoder) Write(b []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	e.dirty = true
	if err := e.do(func(w codec) error {
		_, err := w.Write(b)
		return err
	}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Flush makes all that was written decodable by the client. It costs some bytes,
// and none if nothing was written since the last one.
func (e *Encoder) Flush() error {
	if e.err != nil || !e.dirty {
		return e.err
	}
	e.dirty = false
	return e.do(func(w codec) error {
		if err := w.Flush(); err != nil {
			return err
		}
		return e.sink.release()
	})
}

// Close writes the end of the coded data and releases the encoder's memory. The
// coding of an empty page is not empty.
func (e *Encoder) Close() error {
	if e.ended || e.err != nil {
		e.ended = true
		if errors.Is(e.err, errEncoderClosed) {
			return nil
		}
		return e.err
	}
	e.ended = true
	err := e.do(func(w codec) error {
		if err := w.Close(); err != nil {
			return err
		}
		return e.sink.release()
	})
	if err == nil {
		e.end(errEncoderClosed)
	}
	return err
}

// Abort drops what is left and releases the encoder's memory without writing an
// end: to the client the page is cut off, not complete. After Close it does
// nothing.
func (e *Encoder) Abort() {
	if e.ended {
		return
	}
	e.ended = true
	if e.err == nil {
		e.end(errEncoderAborted)
	}
}

// do lets f work with the codec, and keeps the error it ends with. Should the
// destination panic, the panic goes on, every later call fails, and the codec, in
// whatever state it is, is not used again.
func (e *Encoder) do(f func(codec) error) error {
	w, err := e.acquire()
	if err != nil {
		e.err = err
		return err
	}
	e.codec, e.err = nil, errEncoderAborted
	err = f(w)
	e.codec, e.err = w, nil
	if err == nil {
		err = e.sink.err
	}
	if err != nil {
		e.end(err)
	}
	return err
}

// acquire returns the codec, at the first call one from the pool.
func (e *Encoder) acquire() (codec, error) {
	if e.codec != nil {
		return e.codec, nil
	}
	if e.pool == nil {
		return copyCodec{&e.sink}, nil
	}
	w, ok := e.pool.Get().(codec)
	if !ok {
		return nil, fmt.Errorf("no encoder of these settings: %w", ErrUnsupportedCoding)
	}
	w.Reset(&e.sink)
	return w, nil
}

// end puts the codec back. All further calls answer err.
func (e *Encoder) end(err error) {
	e.err = err
	if e.codec != nil && e.pool != nil {
		e.codec.Reset(nil) // which also forgets the page's bytes that are unwritten
		e.pool.Put(e.codec)
	}
	e.codec = nil
}

// copyCodec is the coding of no coding.
type copyCodec struct{ io.Writer }

func (copyCodec) Flush() error    { return nil }
func (copyCodec) Close() error    { return nil }
func (copyCodec) Reset(io.Writer) {}

// sinkHold is longer than any header of a stream.
const sinkHold = 32

// An encoderSink is the destination as the codec sees it. It holds the header the
// libraries write as soon as they have a byte, so that the first thing sent is
// worth a packet, and remembers an error for those that forget it.
type encoderSink struct {
	dst     io.Writer
	held    [sinkHold]byte
	n       int  // bytes held
	started bool // something was sent: nothing is held any more
	err     error
}

func (s *encoderSink) Write(b []byte) (int, error) {
	if s.err == nil && !s.started && s.n+len(b) <= len(s.held) {
		s.n += copy(s.held[s.n:], b)
		return len(b), nil
	}
	if err := s.release(); err != nil {
		return 0, err
	}
	if err := s.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// release sends what is held.
func (s *encoderSink) release() error {
	if s.n == 0 || s.err != nil {
		return s.err
	}
	n := s.n
	s.n = 0
	return s.send(s.held[:n])
}

func (s *encoderSink) send(b []byte) error {
	s.started = true
	n, err := s.dst.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	s.err = err
	return err
}
