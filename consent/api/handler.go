package api

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/consentgate/consentgate/consent"
)

// Options are what a Handler needs to know. Resolver and Prefix are required.
type Options struct {
	// Reads and writes the visitor's state.
	Resolver *consent.Resolver

	// Path under which the handler is reachable, such as "/_cg/". It begins and
	// ends with "/" and holds only letters, digits, "/", ".", "_", "~" and "-".
	Prefix string

	// Returns scheme and host (with port, if it is not the scheme's own) as the
	// visitor's browser sees the site. If nil, the connection's: right where no
	// proxy stands in front. If it is wrong, choices are refused with 403, since
	// the origin a browser reports is then not ours.
	External func(*http.Request) (scheme, host string)

	// Reports whether a cookie that the request carries must go under the new
	// state. If nil, no cookie is expired.
	Expire func(cookie string, s consent.State) bool

	// Is called once for each choice that was taken, before it is answered.
	OnChoice func(Choice)
}

// A Choice is one act of a visitor that was taken.
type Choice struct {
	Action  string        // "grant" (at least one category), "deny" or "withdraw"
	Granted consent.State // the state from now on
	Before  consent.State // the state of the request
	Method  string        // how it was made: "form"
}

// A Handler serves the preferences page and the choice endpoint. It is safe for
// concurrent use.
//
//	GET, HEAD  {prefix}preferences   the page; ?return_to=/path says where to go afterwards
//	POST       {prefix}choice        form-encoded: action, category (repeatable), return_to
//
// Every other path is answered with 404.
type Handler struct {
	o           Options
	preferences string // path
	choice      string // path
	pages       *template.Template
	css         template.CSS
	csp         string
}

// New returns a handler, or an error that names every option that cannot work.
func New(o Options) (*Handler, error) {
	var errs []error
	if o.Resolver == nil {
		errs = append(errs, errors.New("consent api: no resolver"))
	} else if err := o.Resolver.Validate(); err != nil {
		errs = append(errs, err)
	}
	if !validPrefix(o.Prefix) {
		errs = append(errs, fmt.Errorf("consent api: prefix %q: begin and end it with \"/\", as in \"/_cg/\", and use only letters, digits, \".\", \"_\", \"~\" and \"-\" between", o.Prefix))
	}
	if o.External == nil {
		o.External = direct
	}
	h := &Handler{o: o, preferences: o.Prefix + "preferences", choice: o.Prefix + "choice"}
	if err := h.loadPages(); err != nil {
		errs = append(errs, fmt.Errorf("consent api: loading pages: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return h, nil
}

func validPrefix(p string) bool {
	for _, b := range []byte(p) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case strings.IndexByte("/._~-", b) >= 0:
		default:
			return false
		}
	}
	return len(p) > 2 && p[0] == '/' && p[len(p)-1] == '/' &&
		!strings.Contains(p, "//") && !hasDotSegment(p)
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case h.preferences:
		if h.allow(w, r, http.MethodGet, http.MethodHead) {
			h.servePreferences(w, r)
		}
	case h.choice:
		if h.allow(w, r, http.MethodPost) {
			h.serveChoice(w, r)
		}
	default:
		h.fail(w, r, &failure{http.StatusNotFound, "There is nothing at this address."})
	}
}

// allow reports whether the request's method is one of methods, and answers the
// request if it is not.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	h.fail(w, r, &failure{http.StatusMethodNotAllowed, "This address cannot be used that way."})
	return false
}

// A failure is a refusal, in words for the visitor.
type failure struct {
	status int
	text   string
}

// fail answers a refused request.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, f *failure) {
	h.render(w, r, f.status, "failure", failurePage{
		CSS:         h.css,
		Status:      f.status,
		Title:       http.StatusText(f.status),
		Text:        f.text,
		Preferences: h.preferences,
	})
}

// setHeaders sets what every answer carries.
func (h *Handler) setHeaders(hd http.Header) {
	hd.Set("Cache-Control", "no-store")
	hd.Set("Content-Security-Policy", h.csp)
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("X-Robots-Tag", "noindex")
	// Browsers send "Origin: null" with a post from a page that has
	// "no-referrer"; this one keeps the origin, and the page to return to.
	hd.Set("Referrer-Policy", "same-origin")
}

// send answers with the given body, which HEAD leaves out.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	h.setHeaders(w.Header())
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the visitor is gone; nobody is left to tell
	}
}
