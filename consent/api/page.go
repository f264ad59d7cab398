package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/consentgate/consentgate/consent"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// loadPages parses the templates and computes the policy that lets nothing but
// our own style apply.
func (h *Handler) loadPages() error {
	pages, err := template.New("pages").Parse(pageHTML)
	if err != nil {
		return err
	}
	css := strings.TrimSpace(pageCSS)
	sum := sha256.Sum256([]byte(css))
	h.pages, h.css = pages, template.CSS(css)
	h.csp = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return nil
}

type failurePage struct {
	CSS         template.CSS
	Status      int
	Title       string
	Text        string
	Preferences string // path
}

type preferencesPage struct {
	CSS        template.CSS
	Host       string
	ReturnTo   string
	Action     string // path of the choice endpoint
	Problem    string // why an earlier choice does not count; "" if none
	Level      string
	At         time.Time // of the choice, in UTC
	Withdraw   bool      // there is something to withdraw
	Optional   bool      // there is something to choose
	Signal     string    // name of a signal that takes categories away; "" if none does
	TakenAway  []string  // names of these categories
	Categories []categoryRow
	Cookie     string // name of our cookie
	Days       int    // it is kept
}

type categoryRow struct {
	consent.Category
	Checked bool
	Off     bool // a signal takes it away
}

// servePreferences shows what the visitor may choose and has chosen. It changes
// nothing.
func (h *Handler) servePreferences(w http.ResponseWriter, r *http.Request) {
	s := h.site(r)
	returnTo := h.refererPath(r, s)
	if v := r.URL.Query()["return_to"]; len(v) > 0 {
		var ok bool
		if returnTo, ok = h.returnPath(v[0]); !ok || !same(v) {
			h.fail(w, r, badReturnTo())
			return
		}
	}
	h.render(w, r, http.StatusOK, "preferences", h.preferencesPage(h.o.Resolver.Resolve(r.Header, s.secure), s, returnTo))
}

func (h *Handler) preferencesPage(state consent.State, s site, returnTo string) preferencesPage {
	res := h.o.Resolver
	p := preferencesPage{
		CSS:      h.css,
		Host:     s.host,
		ReturnTo: returnTo,
		Action:   h.choice,
		Problem:  problem(state.Problem),
		Level:    state.Level(res.Scheme),
		At:       state.At.UTC(),
		Withdraw: state.Decided && state.Chosen != 0,
		Optional: res.Scheme.Optional() != 0,
		Cookie:   res.Name(s.secure),
		Days:     int(res.Lifetime() / (24 * time.Hour)),
	}
	off := res.Scheme.DeniedBy(state.Signals)
	for i, c := range res.Scheme.Categories {
		row := categoryRow{Category: c, Checked: c.Fixed || state.Chosen.Has(i), Off: off.Has(i)}
		if row.Off {
			p.TakenAway = append(p.TakenAway, c.Name)
		}
		p.Categories = append(p.Categories, row)
	}
	if off != 0 {
		p.Signal = signalName(res.Scheme, state.Signals)
	}
	return p
}

// signalName names the signals that take a category away.
func signalName(sc *consent.Scheme, sig consent.Signals) string {
	gpc := sc.DeniedBy(sig&consent.GPC) != 0
	dnt := sc.DeniedBy(sig&consent.DNT) != 0
	switch {
	case gpc && dnt:
		return "Global Privacy Control and Do Not Track"
	case gpc:
		return "Global Privacy Control"
	}
	return "Do Not Track"
}

// problem says in words for the visitor why an earlier choice does not count.
func problem(p consent.Problem) string {
	switch p {
	case consent.Malformed:
		return "Your earlier choice could not be read, so it does not count."
	case consent.Conflicting:
		return "Your browser sent two different choices, so neither counts."
	case consent.Outdated:
		return "What you can choose here has changed since your last choice, so we ask again."
	case consent.Expired:
		return "Your earlier choice was made too long ago, so we ask again."
	}
	return ""
}

// render answers with a page.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	var b bytes.Buffer
	if err := h.pages.ExecuteTemplate(&b, page, data); err != nil {
		// Nothing of the half page is sent.
		h.send(w, r, http.StatusInternalServerError, "text/plain; charset=utf-8", []byte("internal error\n"))
		return
	}
	h.send(w, r, status, "text/html; charset=utf-8", b.Bytes())
}
