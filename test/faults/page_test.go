package faults

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// The dimensions of a page on its way from the site to the gateway.
var (
	codings  = []string{"identity", "gzip", "deflate", "br", "zstd"}
	framings = []string{"length", "chunked", "close"}
	sizes    = []int{6 << 10, 40 << 10, 200 << 10}
)

// head is how every page begins.
const head = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Faults</title>
<script async src="https://www.googletagmanager.com/gtag/js?id=G-FIRST000001"></script>
</head>
<body>
`

// section refers to held vendors in every way; each %[1]d is its number, %[2]s
// some text.
const section = `<section id="s%[1]d"><h2>Section %[1]d</h2>
<p>%[2]s</p>
<script src="https://connect.facebook.net/en_US/fbevents.js?n=%[1]d"></script>
<img width="1" alt="" src="https://www.facebook.com/tr?id=%[1]d&amp;ev=PageView">
<iframe src="https://www.youtube.com/embed/video%[1]d" width="560" height="315"></iframe>
<link rel="stylesheet" href="https://fonts.googleapis.com/css2?family=Font%[1]d">
<script>(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':new Date().getTime(),event:'gtm.js'});var f=d.getElementsByTagName(s)[0],j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;j.src='https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);})(window,document,'script','dataLayer','GTM-%[1]d');</script>
<noscript><iframe src="https://www.googletagmanager.com/ns.html?id=GTM-%[1]d" height="0" width="0"></iframe></noscript>
</section>
`

// document returns a page of at least size bytes, always the same one.
var document = memo(func(size int) []byte {
	random := rand.New(rand.NewPCG(uint64(size), 9))
	var b bytes.Buffer
	b.WriteString(head)
	for n := 0; b.Len() < size; n++ {
		var text strings.Builder
		for range 40 { // so that compression leaves something to cut
			fmt.Fprintf(&text, "%x ", random.Uint32())
		}
		fmt.Fprintf(&b, section, n, text.String())
	}
	b.WriteString("</body>\n</html>\n")
	return b.Bytes()
})

// A coded is a page in a content coding.
type coded struct {
	size   int
	coding string
}

// flushEvery is after how many bytes of a page the site's compressor flushes, as
// those of sites do that send their pages while they make them.
const flushEvery = 4 << 10

var encoded = memo(func(c coded) []byte {
	page := document(c.size)
	var b bytes.Buffer
	w := encoder(c.coding, &b)
	for len(page) > 0 {
		n := min(len(page), flushEvery)
		if _, err := w.Write(page[:n]); err != nil {
			panic(err) // into memory
		}
		if err := w.Flush(); err != nil {
			panic(err)
		}
		page = page[n:]
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// A compressor is what the site compresses with.
type compressor interface {
	io.WriteCloser
	Flush() error
}

func encoder(coding string, w io.Writer) compressor {
	switch coding {
	case "gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "br":
		return brotli.NewWriterLevel(w, 5)
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // only for wrong options
		}
		return z
	}
	return identity{w}
}

type identity struct{ io.Writer }

func (identity) Flush() error { return nil }
func (identity) Close() error { return nil }

// decode undoes a coding as far as it goes. The error says why it goes no further.
func decode(coding string, body []byte) ([]byte, error) {
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "", "identity":
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		err = fmt.Errorf("coding %q", coding)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// A sent is a page as it stands on the wire between site and gateway.
type sent struct {
	coded
	framing string
	// level pads the header so that all answers of one size are equally long.
	// Otherwise their bodies begin at the same place, bodyAt.
	level bool
}

func (s sent) path() string {
	return fmt.Sprintf("/%d/%s/%s/%t", s.size, s.coding, s.framing, s.level)
}

// plain is the same page in the plainest way.
func (s sent) plain() sent { return sent{coded{s.size, "identity"}, "length", false} }

const (
	// bodyAt is where bodies begin on the wire.
	bodyAt = 512
	// chunkSize is that of a chunked body. The first one is as long as others.
	chunkSize = 3000
)

// levelLength is how long level answers of the smallest size are.
const levelLength = 24 << 10

// wire returns the answer as bytes.
var wire = memo(func(s sent) []byte {
	body := encoded(s.coded)
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n")
	if s.coding != "identity" {
		fmt.Fprintf(&b, "Content-Encoding: %s\r\n", s.coding)
	}
	switch s.framing {
	case "length":
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	case "chunked":
		b.WriteString("Transfer-Encoding: chunked\r\n")
		body = chunked(body)
	}
	at := bodyAt
	if s.level {
		at = levelLength - len(body)
	}
	const pad = "X-Pad: \r\n\r\n"
	fmt.Fprintf(&b, "X-Pad: %s\r\n\r\n", strings.Repeat("x", at-b.Len()-len(pad)))
	b.Write(body)
	return b.Bytes()
})

func chunked(body []byte) []byte {
	var b bytes.Buffer
	for len(body) > 0 {
		n := min(len(body), chunkSize)
		fmt.Fprintf(&b, "%04x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// memo makes a function remember its results, for many goroutines.
func memo[K comparable, V any](f func(K) V) func(K) V {
	var mu sync.Mutex
	known := make(map[K]V)
	return func(k K) V {
		mu.Lock()
		defer mu.Unlock()
		v, ok := known[k]
		if !ok {
			v = f(k)
			known[k] = v
		}
		return v
	}
}
