package e2e

import (
	"embed"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"path"
	"strings"
)

// The sink's answers: what a vendor's server would send, small.

//go:embed testdata/vendors
var vendorFiles embed.FS

// scripts are the vendors' scripts, by the host and the beginning of the path
// they are served at. Each sets the vendor's first-party cookies and sends its
// beacon, as the real one does.
var scripts = []struct{ host, path, file string }{
	{"connect.facebook.net", "/en_US/fbevents.js", "meta-pixel.js"},
	{"www.googletagmanager.com", "/gtm.js", "google-tag-manager.js"},
	{"www.googletagmanager.com", "/gtag/js", "google-analytics-4.js"},
	{"snap.licdn.com", "/li.lms-analytics/", "linkedin-insight.js"},
	{"static.hotjar.com", "/c/hotjar-", "hotjar.js"},
	{"widget.intercom.io", "/widget/", "intercom.js"},
	{"embed.tawk.to", "/", "tawk.js"},
	{"www.googleadservices.com", "/pagead/conversion.js", "google-ads.js"},
}

// frames are the bodies of embedded documents.
var frames = []struct{ host, path, file string }{
	{"www.youtube.com", "/embed/", "youtube.html"},
	{"www.google.com", "/maps/", "google-maps.html"},
}

// thirdPartyCookies are the cookies the vendors' servers set on their own hosts.
var thirdPartyCookies = map[string]string{
	"www.facebook.com":            "fr",
	"www.youtube.com":             "VISITOR_INFO1_LIVE",
	"www.google.com":              "NID",
	"px.ads.linkedin.com":         "bcookie",
	"googleads.g.doubleclick.net": "IDE",
}

var pixel = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// ServeHTTP notes the request and answers it by what it is for.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	at := hit{Host: host, Path: r.URL.RequestURI(), Method: r.Method, Dest: destination(r), Cookie: r.Header.Get("Cookie")}
	if host != ownBusiness {
		s.note(func(tr *traffic) { tr.Hits = append(tr.Hits, at) })
		s.tell(host)
	}

	h := w.Header()
	h.Set("Cache-Control", "no-store") // a cached answer would hide the next visit's request
	h.Set("Timing-Allow-Origin", "*")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.TLS != nil {
		name := thirdPartyCookies[host]
		if name == "" {
			name = "tp"
		}
		h.Set("Set-Cookie", name+"=1; Path=/; Max-Age=86400; Secure; SameSite=None")
	}
	kind, body := answer(at, r.TLS != nil)
	h.Set("Content-Type", kind)
	io.WriteString(w, body)
}

func answer(at hit, secure bool) (kind, body string) {
	switch at.Dest {
	case "script", "worker", "serviceworker":
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		bare, _, _ := strings.Cut(at.Path, "?")
		// Every script leaves its name, and whether the parser waited for it,
		// so that two visits can be compared by what ran in which order.
		ran := fmt.Sprintf("(self.__ran=self.__ran||[]).push([%q,!!(self.document&&document.currentScript&&!document.currentScript.async)]);\n", scheme+at.Host+bare)
		for _, s := range scripts {
			if s.host == at.Host && strings.HasPrefix(at.Path, s.path) {
				return "text/javascript", ran + vendorFile(s.file)
			}
		}
		return "text/javascript", ran
	case "iframe", "frame", "document", "embed", "object":
		for _, f := range frames {
			if f.host == at.Host && strings.HasPrefix(at.Path, f.path) {
				return "text/html; charset=utf-8", vendorFile(f.file)
			}
		}
		return "text/html; charset=utf-8", "<!DOCTYPE html><title>" + html.EscapeString(at.Host) + "</title><p>" + html.EscapeString(at.Host)
	case "style":
		return "text/css", ""
	case "font":
		return "font/woff2", ""
	case "image":
		return "image/gif", string(pixel)
	default:
		return "application/json", "{}"
	}
}

func vendorFile(name string) string {
	b, err := vendorFiles.ReadFile("testdata/vendors/" + name)
	if err != nil {
		return "throw new Error(" + fmt.Sprintf("%q", err.Error()) + ")"
	}
	return string(b)
}

// destination returns what the request is for. Browsers say so only to secure
// hosts; elsewhere Accept and the file's name must do.
func destination(r *http.Request) string {
	if d := r.Header.Get("Sec-Fetch-Dest"); d != "" {
		return d
	}
	accept := r.Header.Get("Accept")
	switch {
	case strings.HasPrefix(accept, "text/html"):
		return "document"
	case strings.HasPrefix(accept, "text/css"):
		return "style"
	case strings.HasPrefix(accept, "image/"):
		return "image"
	}
	switch strings.ToLower(path.Ext(r.URL.Path)) {
	case ".json":
		return "empty"
	case ".woff", ".woff2", ".ttf", ".otf", ".eot":
		return "font"
	case ".mp4", ".webm", ".mp3", ".ogg", ".m3u8", ".vtt":
		return "video"
	}
	if r.Header.Get("Origin") != "" && r.Method != http.MethodGet {
		return "empty"
	}
	return "script"
}

// discardLog swallows what servers say about connections the browser dropped.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
