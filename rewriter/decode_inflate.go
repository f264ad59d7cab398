package rewriter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// An inflateStage undoes "gzip" (RFC 1952) and "deflate" (RFC 1950; but many
// servers send RFC 1951 under that name, so that browsers look at the first two
// bytes, and so do we). The framing is read here rather than by the gzip and
// zlib packages: those give out a block only once 32 KiB were decoded or the
// encoder flushed, and take what follows the data for an error.
type inflateStage struct {
	src    *bufio.Reader
	gzip   bool
	flate  io.ReadCloser // nil before the first member
	inside bool          // a member's data is being read
	sum    hash.Hash32   // of the member's output; nil for raw deflate
	size   uint32        // of the member's output, modulo 2^32
	ended  bool
}

func (s *inflateStage) Read(p []byte) (int, error) {
	for !s.ended {
		if !s.inside {
			if err := s.begin(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := s.flate.Read(p)
		if s.sum != nil {
			s.sum.Write(p[:n])
			s.size += uint32(n)
		}
		if errors.Is(err, io.EOF) {
			err = s.finish()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

// begin reads what stands before the next member's data.
func (s *inflateStage) begin() error {
	s.sum, s.size = nil, 0
	var err error
	switch {
	case s.gzip && s.flate != nil:
		var magic []byte
		if magic, err = s.src.Peek(3); !bytes.Equal(magic, gzipMagic) {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			// Padding or worse. Browsers ignore it.
			s.ended = true
			return nil
		}
		fallthrough
	case s.gzip:
		err = s.gzipHeader()
		s.sum = crc32.NewIEEE()
	default:
		err = s.zlibHeader()
	}
	if err != nil {
		return noEOF(err)
	}
	s.inside = true
	if s.flate == nil {
		s.flate = flate.NewReaderOpts(s.src, flate.WithPartialBlock())
		return nil
	}
	// Reset forgets the option, so that from the second member on a block that
	// was not flushed may wait. Many tiny members must not cost a new window each.
	return s.flate.(flate.Resetter).Reset(s.src, nil)
}

var gzipMagic = []byte{0x1f, 0x8b, 8}

// Flags of a gzip member (RFC 1952, section 2.3.1).
const (
	gzipHeaderCRC = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
	gzipReserved  = 0xe0
)

// gzipHeader reads the header of a member (RFC 1952, section 2.3).
func (s *inflateStage) gzipHeader() error {
	var head [10]byte
	if _, err := io.ReadFull(s.src, head[:]); err != nil {
		return err
	}
	if !bytes.Equal(head[:3], gzipMagic) {
		return errors.New("no gzip header")
	}
	flags := head[3]
	if flags&gzipReserved != 0 {
		return errors.New("reserved gzip flag set")
	}
	if flags&gzipExtra != 0 {
		var size [2]byte
		if _, err := io.ReadFull(s.src, size[:]); err != nil {
			return err
		}
		if _, err := s.src.Discard(int(binary.LittleEndian.Uint16(size[:]))); err != nil {
			return err
		}
	}
	for _, text := range []byte{gzipName, gzipComment} {
		for flags&text != 0 {
			c, err := s.src.ReadByte()
			if err != nil {
				return err
			}
			if c == 0 {
				break
			}
		}
	}
	if flags&gzipHeaderCRC != 0 {
		// Of no use here: a damaged name or date changes nothing.
		if _, err := s.src.Discard(2); err != nil {
			return err
		}
	}
	return nil
}

// zlibHeader takes a zlib header (RFC 1950, section 2.2) if there is one.
func (s *inflateStage) zlibHeader() error {
	head, err := s.src.Peek(2)
	if err != nil {
		return err
	}
	const method, maxWindow, dictionary = 8, 7, 1 << 5
	if head[0]&0x0f != method || head[0]>>4 > maxWindow || binary.BigEndian.Uint16(head)%31 != 0 {
		return nil // raw
	}
	if head[1]&dictionary != 0 {
		return errors.New("zlib dictionary required")
	}
	s.sum = adler32.New()
	_, err = s.src.Discard(2)
	return err
}

// finish reads what stands after a member's data. The error is nil if another
// member may follow.
func (s *inflateStage) finish() error {
	s.inside = false
	if s.sum == nil {
		s.ended = true
		return nil
	}
	var tail [8]byte
	size := 4
	if s.gzip {
		size = 8
	}
	if _, err := io.ReadFull(s.src, tail[:size]); err != nil {
		return noEOF(err)
	}
	if s.gzip {
		if binary.LittleEndian.Uint32(tail[:]) != s.sum.Sum32() || binary.LittleEndian.Uint32(tail[4:]) != s.size {
			return errors.New("gzip checksum does not match")
		}
		return nil
	}
	if binary.BigEndian.Uint32(tail[:]) != s.sum.Sum32() {
		return errors.New("zlib checksum does not match")
	}
	s.ended = true
	return nil
}

// noEOF makes an end of input in the wrong place an error: io.EOF would stand
// for the end of the decoded data.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *inflateStage) release(bool) {
	// The flate reader is not pooled: its Reset forgets the option it was made
	// with, and would from then on hold back unflushed blocks.
	s.src.Reset(nil)
	bufioReaders.Put(s.src)
}
