package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/consentgate/consentgate/consent"
)

// maxBody is the size in bytes of the largest form that is read.
const maxBody = 4 << 10

// Values of the form field "action".
const (
	grantAll = "grant-all"
	denyAll  = "deny-all"
	withdraw = "withdraw"
	save     = "save" // the categories named in the form, no others
)

// A form is what a visitor sent.
type form struct {
	action     string
	categories consent.Set
	returnTo   string
}

// serveChoice takes a choice. A withdrawal is stored as a denial of everything
// optional and not by deleting our cookie: the visitor has said what they want,
// and need not be asked again.
func (h *Handler) serveChoice(w http.ResponseWriter, r *http.Request) {
	s := h.site(r)
	if f := checkOrigin(r, s); f != nil {
		h.fail(w, r, f)
		return
	}
	form, f := h.readForm(w, r)
	if f != nil {
		h.fail(w, r, f)
		return
	}
	res := h.o.Resolver
	var granted consent.Set
	switch form.action {
	case grantAll:
		granted = res.Scheme.Optional()
	case save:
		granted = form.categories
	}
	c := res.Choose(granted)
	before := res.Resolve(r.Header, s.secure)
	after := res.Scheme.Decide(c, before.Signals)

	cookie := res.SetCookie(c, s.secure)
	budget := maxHeader - otherFields - len(cookie) - len(form.returnTo)
	w.Header().Add("Set-Cookie", cookie)
	for _, line := range h.deletions(r, after, s, form.returnTo, budget) {
		w.Header().Add("Set-Cookie", line)
	}
	w.Header().Set("Location", form.returnTo)
	if h.o.OnChoice != nil {
		h.o.OnChoice(Choice{Action: act(form.action, c), Granted: after, Before: before, Method: "form"})
	}
	h.send(w, r, http.StatusSeeOther, "", nil)
}

// act says in one word of the glossary what a choice is.
func act(action string, c consent.Choice) string {
	switch {
	case action == withdraw:
		return "withdraw"
	case c.Granted == 0:
		return "deny"
	}
	return "grant"
}

// deletions returns what deletes the request's cookies that the new state does
// not grant: those of a category just lost, and those that were there before the
// visitor was first asked.
func (h *Handler) deletions(r *http.Request, after consent.State, s site, page string, budget int) []string {
	if h.o.Expire == nil {
		return nil
	}
	own := h.o.Resolver.Name(s.secure)
	gone := func(name string) bool { return name != own && h.o.Expire(name, after) }
	return deletions(r.Header["Cookie"], gone, s, page, budget)
}

// readForm reads and checks the body of a choice.
func (h *Handler) readForm(w http.ResponseWriter, r *http.Request) (form, *failure) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" || r.Header.Get("Content-Encoding") != "" {
		return form{}, &failure{http.StatusUnsupportedMediaType, "A choice is sent as a form (application/x-www-form-urlencoded)."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return form{}, &failure{http.StatusRequestEntityTooLarge, "This form is too large."}
	}
	if err != nil {
		return form{}, &failure{http.StatusBadRequest, "The form did not arrive in full."}
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return form{}, &failure{http.StatusBadRequest, "The form could not be read."}
	}
	return h.checkForm(values)
}

func (h *Handler) checkForm(values url.Values) (form, *failure) {
	f := form{returnTo: "/"}
	for field, v := range values {
		switch {
		case field == "category":
			for _, id := range v {
				i := h.o.Resolver.Scheme.Index(id)
				if i < 0 {
					return form{}, &failure{http.StatusBadRequest, "The form names a category this site does not have. Its choices may have changed: open them here and try again."}
				}
				f.categories = f.categories.With(i)
			}
		case field != "action" && field != "return_to":
			return form{}, &failure{http.StatusBadRequest, "The form holds a field that does not belong there."}
		case !same(v):
			return form{}, &failure{http.StatusBadRequest, "The form contradicts itself."}
		case field == "action":
			f.action = v[0]
		default:
			var ok bool
			if f.returnTo, ok = h.returnPath(v[0]); !ok {
				return form{}, badReturnTo()
			}
		}
	}
	switch f.action {
	case grantAll, denyAll, withdraw, save:
		return f, nil
	}
	return form{}, &failure{http.StatusBadRequest, "The form does not say what you chose."}
}

// badReturnTo refuses to send the visitor to a page that is not of this site.
func badReturnTo() *failure {
	return &failure{http.StatusBadRequest, "The page to return to is not a page of this site."}
}

// same reports whether all values are equal.
func same(values []string) bool {
	for _, v := range values[1:] {
		if v != values[0] {
			return false
		}
	}
	return true
}
