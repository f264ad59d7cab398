package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/consentgate/consentgate/test/pages"
)

// An origin is the site behind the gateway. It lives in this process.
type origin struct {
	addr   string
	server *http.Server
	pages  []map[string][]byte // by content coding, "" for none
	file   []byte
	stop   chan struct{} // ends streams
}

// codings are those the site has its pages in.
var codings = []string{"", "gzip", "br", "zstd"}

func startOrigin() (*origin, error) {
	list, err := pages.Saved()
	if err != nil {
		return nil, err
	}
	made := pages.Made(1<<10, 4<<10, 16<<10, 64<<10, 150<<10, 300<<10)
	if list = append(pages.Mix(list, 100<<10), made...); len(list) > 24 {
		list = list[len(list)-24:] // the large ones are many
	}
	o := &origin{file: make([]byte, 1<<20), stop: make(chan struct{})}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(o.file)
	for _, p := range list {
		coded := map[string][]byte{}
		for _, coding := range codings {
			if coded[coding], err = compress(coding, p.Doc); err != nil {
				return nil, err
			}
		}
		o.pages = append(o.pages, coded)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.addr = ln.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/page/{n}", o.page)
	mux.HandleFunc("/slow/{n}", o.slow)
	mux.HandleFunc("/broken/{n}", o.broken)
	mux.HandleFunc("/events", o.events)
	mux.HandleFunc("/socket", o.socket)
	mux.HandleFunc("/file.png", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("ETag", `"file"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.file[:200<<10]))
	})
	mux.HandleFunc("/site.css", static("text/css", strings.Repeat("a.b > c { color: red }\n", 1000)))
	mux.HandleFunc("/api/items", static("application/json", `{"items":[`+strings.Repeat(`{"id":1},`, 200)+`{}]}`))
	o.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = o.server.Serve(ln) }()
	return o, nil
}

func (o *origin) close() {
	close(o.stop)
	_ = o.server.Close()
}

func static(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, text)
	}
}

// answer sets the headers of a page and returns its bytes, nil for a 304.
func (o *origin) answer(w http.ResponseWriter, r *http.Request) []byte {
	n := 0
	_, _ = fmt.Sscan(r.PathValue("n"), &n)
	n %= len(o.pages)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Encoding")
	h.Add("Set-Cookie", "sessionid=s3ss10n; Path=/; HttpOnly")
	h.Add("Set-Cookie", "_ga=GA1.1.1.1; Path=/; Max-Age=86400")
	coding := ""
	for _, c := range codings[1:] {
		if strings.Contains(r.Header.Get("Accept-Encoding"), c) {
			coding = c
			h.Set("Content-Encoding", c)
			break
		}
	}
	tag := fmt.Sprintf(`"%d%s"`, n, coding)
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return o.pages[n][coding]
}

func (o *origin) page(w http.ResponseWriter, r *http.Request) {
	if doc := o.answer(w, r); r.Method != http.MethodHead {
		_, _ = w.Write(doc)
	}
}

// slow sends a page in ten pieces.
func (o *origin) slow(w http.ResponseWriter, r *http.Request) {
	doc := o.answer(w, r)
	for i := range 10 {
		if _, err := w.Write(doc[i*len(doc)/10 : (i+1)*len(doc)/10]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// broken breaks off in the middle of a page.
func (o *origin) broken(w http.ResponseWriter, r *http.Request) {
	doc := o.answer(w, r)
	_, _ = w.Write(doc[:len(doc)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// events sends an event a second until somebody goes.
func (o *origin) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := io.WriteString(w, "data: tick\n\n"); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-o.stop:
			return
		case <-time.After(time.Second):
		}
	}
}

// socket sends back what comes, once the connection is a WebSocket. Nothing
// between here and the client looks into it, so it has no frames.
func (o *origin) socket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	h := w.Header()
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.Copy(conn, rw)
}

// compress returns data in a coding.
func compress(coding string, data []byte) ([]byte, error) {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "":
		return data, nil
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriterLevel(&b, 4)
	case "zstd":
		enc, err := zstd.NewWriter(&b)
		if err != nil {
			return nil, err
		}
		w = enc
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}
