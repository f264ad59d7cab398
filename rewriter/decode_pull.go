package rewriter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// A pullStage is one decoding library at work. release gives its memory back;
// reuse says whether it came to a regular end.
type pullStage interface {
	io.Reader
	release(reuse bool)
}

const decodeBufferSize = 32 << 10

// poolableOutput is the number of decoded bytes up to which a library is put
// back for the next response. Beyond, what it holds may have grown to megabytes.
const poolableOutput = 1 << 20

var (
	decodeBuffers = sync.Pool{New: func() any { return new([decodeBufferSize]byte) }}
	bufioReaders  = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	brotliReaders = sync.Pool{New: func() any { return brotli.NewReader(nil) }}
	zstdDecoders  = sync.Pool{} // made for defaultMaxWindow
)

// run is the coroutine: it pulls decoded bytes through the stacked libraries
// and pushes them into the destination until either side ends.
func (d *Decoder) run(yield func(struct{}) bool) {
	d.yield = yield
	stages := make([]pullStage, 0, maxCodings)
	clean := false
	defer func() {
		for _, s := range stages {
			s.release(clean && d.written <= poolableOutput)
		}
	}()
	var src io.Reader = (*decoderInput)(d)
	for i := len(d.codings) - 1; i >= 0; i-- {
		stage, err := newPullStage(d.codings[i], src, d)
		if err != nil {
			d.outcome = err
			return
		}
		stages = append(stages, stage)
		src = &meteredReader{src: stage, d: d, coding: d.codings[i]}
	}
	d.outcome = d.pump(src)
	clean = d.outcome == nil
}

// pump copies src to the destination. What was decoded before an error is
// written first; after Abort src gives out nothing.
func (d *Decoder) pump(src io.Reader) error {
	buf := decodeBuffers.Get().(*[decodeBufferSize]byte)
	defer decodeBuffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			d.written += int64(n)
			if _, werr := d.dst.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// decoderInput is the Decoder as the libraries see it: a reader of compressed
// bytes that waits for the next Write whenever there are none.
type decoderInput Decoder

func (in *decoderInput) Read(p []byte) (int, error) {
	for len(in.in) == 0 {
		switch {
		case in.aborted:
			return 0, errAborted
		case in.eof:
			return 0, io.EOF
		case !in.yield(struct{}{}):
			// Stopped: yield must not be called again.
			in.aborted = true
		}
	}
	n := copy(p, in.in)
	in.in = in.in[n:]
	in.taken += int64(n)
	return n, nil
}

// maxIdleReads is the number of reads without output and without input taken
// after which a library counts as looping.
const maxIdleReads = 100

// A meteredReader enforces the limits on what one library puts out and gives
// its errors our types.
type meteredReader struct {
	src    io.Reader
	d      *Decoder
	coding string
	out    int64
}

func (m *meteredReader) Read(p []byte) (int, error) {
	for idle := 0; ; idle++ {
		taken := m.d.taken
		n, err := m.src.Read(p)
		if m.d.aborted {
			return 0, errAborted // some libraries give out what they have left
		}
		m.out += int64(n)
		l := m.d.limits
		if m.out > l.MaxOutput {
			return 0, fmt.Errorf("%s: %w: more than %d bytes", m.coding, ErrTooLarge, l.MaxOutput)
		}
		if m.out > ratioGrace && m.out/int64(l.MaxRatio) > m.d.taken {
			return 0, fmt.Errorf("%s: %w: more than %d times the %d compressed bytes", m.coding, ErrTooLarge, l.MaxRatio, m.d.taken)
		}
		switch {
		case err == io.EOF || err == nil && n > 0:
			return n, err
		case err != nil:
			return n, m.wrap(err)
		case m.d.taken > taken:
			idle = 0
		case idle == maxIdleReads:
			return 0, m.wrap(io.ErrNoProgress)
		}
	}
}

func (m *meteredReader) wrap(err error) error {
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrTooLarge):
		return err // of the stage below
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%s: %w: window over %d bytes", m.coding, ErrTooLarge, m.d.limits.MaxWindow)
	}
	return fmt.Errorf("%s: %w: %w", m.coding, ErrCorrupt, err)
}

// newPullStage returns the library that undoes coding.
func newPullStage(coding string, src io.Reader, d *Decoder) (pullStage, error) {
	switch coding {
	case "gzip", "x-gzip":
		return &inflateStage{src: pooledBufio(src), gzip: true}, nil
	case "deflate":
		return &inflateStage{src: pooledBufio(src)}, nil
	case "br":
		r := brotliReaders.Get().(*brotli.Reader)
		if err := r.Reset(src); err != nil {
			return nil, fmt.Errorf("br: %w", err)
		}
		return &brotliStage{r: r}, nil
	case "zstd":
		return newZstdStage(src, d)
	}
	return nil, fmt.Errorf("%w: %q", ErrUnsupportedCoding, coding)
}

func pooledBufio(src io.Reader) *bufio.Reader {
	r := bufioReaders.Get().(*bufio.Reader)
	r.Reset(src)
	return r
}

type brotliStage struct {
	r     *brotli.Reader
	ended bool
}

// brotliExcess is the error the library reports for bytes after the stream. It
// is not exported, so it is taken from an empty stream with one byte too many.
var brotliExcess = func() error {
	_, err := brotli.NewReader(bytes.NewReader([]byte{0x06, 0})).Read(make([]byte, 1))
	return err
}()

func (s *brotliStage) Read(p []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	if errors.Is(err, brotliExcess) {
		s.ended = true
		return n, io.EOF
	}
	return n, err
}

func (s *brotliStage) release(reuse bool) {
	if reuse && s.r.Reset(nil) == nil {
		brotliReaders.Put(s.r)
	}
}

// A zstdStage undoes "zstd" (RFC 8878). Its decoder starts no goroutines.
type zstdStage struct {
	r      *zstd.Decoder
	src    io.Reader
	d      *Decoder
	window int
	head   []byte // the first frame's header, as far as it was read
}

func newZstdStage(src io.Reader, d *Decoder) (*zstdStage, error) {
	window := d.limits.MaxWindow
	s := &zstdStage{src: src, d: d, window: window}
	if window == defaultMaxWindow {
		s.r, _ = zstdDecoders.Get().(*zstd.Decoder)
	}
	if s.r != nil {
		if err := s.r.Reset(zstdInput{s}); err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return s, nil
	}
	var err error
	s.r, err = zstd.NewReader(zstdInput{s},
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(window)))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return s, nil
}

func (s *zstdStage) Read(p []byte) (int, error) { return s.r.Read(p) }

// release puts the decoder back, with the window its frames asked for, of which the
// first one stands for all. Most servers ask for 2 MiB or more, whatever the page's
// size: a new decoder for each page takes ten times as long.
func (s *zstdStage) release(reuse bool) {
	var h zstd.Header
	if reuse && s.window == defaultMaxWindow && h.Decode(s.head) == nil &&
		max(h.WindowSize, h.FrameContentSize) <= defaultMaxWindow && s.r.Reset(nil) == nil {
		zstdDecoders.Put(s.r)
		return
	}
	s.r.Close()
}

// A zstdInput is the stage's source; it remembers the first frame's header.
type zstdInput struct{ s *zstdStage }

func (in zstdInput) Read(p []byte) (int, error) {
	n, err := in.s.src.Read(p)
	if room := zstd.HeaderMaxSize - len(in.s.head); room > 0 {
		in.s.head = append(in.s.head, p[:min(n, room)]...)
		var h zstd.Header
		if h.Decode(in.s.head) == nil {
			// Which is more than the limit only until the decoder refuses it.
			in.s.d.window = int(min(h.WindowSize, uint64(in.s.window)))
		}
	}
	return n, err
}
