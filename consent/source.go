package consent

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultCookieName is the base name of our cookie.
	DefaultCookieName = "cg"
	// DefaultMaxAge is how long a choice counts unless the operator says
	// otherwise: about six months, after which the visitor is asked again.
	DefaultMaxAge = 182 * 24 * time.Hour
	// LongestMaxAge is the longest a choice can count: browsers keep no cookie
	// longer (RFC 6265bis, section 5.5).
	LongestMaxAge = 400 * 24 * time.Hour

	// clockSkew is how far in the future a choice may lie: servers that share a
	// site need not agree on the time to the second.
	clockSkew = 5 * time.Minute

	hostPrefix = "__Host-"
)

// A Choice is what the visitor decided on, and when.
type Choice struct {
	Granted Set       // optional categories granted
	At      time.Time // when; the zero time means now
}

// A Resolver reads what the visitor chose from a request and writes it to a
// cookie. Its fields must not change once it is in use; it is then safe for
// concurrent use. The zero Resolver has no scheme and grants nothing.
type Resolver struct {
	// The categories on offer. Without a scheme every request is undecided.
	Scheme *Scheme

	// Base name of the cookie, DefaultCookieName if empty. On HTTPS the cookie
	// is named "__Host-" plus this, so that neither a subdomain nor plain HTTP
	// can plant it; on HTTP it carries the base name, since browsers refuse the
	// prefix there.
	CookieName string

	// The time now, time.Now if nil.
	Now func() time.Time

	// How long a choice counts, DefaultMaxAge if zero, at most LongestMaxAge.
	MaxAge time.Duration
}

// Validate reports every field of r that cannot work, joined.
func (r *Resolver) Validate() error {
	var errs []error
	if r.Scheme == nil {
		errs = append(errs, errors.New("consent cookie: no scheme of categories"))
	}
	for _, b := range []byte(r.CookieName) {
		if !isToken(b) {
			errs = append(errs, fmt.Errorf("consent cookie: name %q: use only letters, digits, \".\", \"_\" and \"-\"", r.CookieName))
			break
		}
	}
	if strings.HasPrefix(r.CookieName, "__") {
		errs = append(errs, fmt.Errorf("consent cookie: name %q: leave out the prefix, it is added on https", r.CookieName))
	}
	if r.MaxAge < 0 || r.MaxAge > LongestMaxAge || r.MaxAge%time.Second != 0 {
		errs = append(errs, fmt.Errorf("consent cookie: max age %s: use whole seconds, at most 400 days (9600h), the longest browsers keep a cookie", r.MaxAge))
	}
	return errors.Join(errs...)
}

func isToken(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		b == '.' || b == '_' || b == '-'
}

// Resolve returns the visitor's state for a request with headers h. secure says
// whether the visitor's browser sees the site on HTTPS, and thereby which of the
// two cookie names is read; the other one never is. Any cookie that is not
// exactly what SetCookie would have written under the present scheme leaves the
// visitor undecided, with the reason in State.Problem.
func (r *Resolver) Resolve(h http.Header, secure bool) State {
	s := State{Signals: SignalsOf(h)}
	if r.Scheme == nil {
		return s
	}
	value, found, problem := r.find(h["Cookie"], secure)
	if problem != NoProblem || !found {
		s.Problem = problem
		return s
	}
	c, problem := parseValue(value, r.Scheme)
	if problem == NoProblem {
		if age := r.now().Sub(c.At); age > r.Lifetime() || age < -clockSkew {
			problem = Expired
		}
	}
	if problem != NoProblem {
		s.Problem = problem
		return s
	}
	return r.Scheme.Decide(c, s.Signals)
}

// Choose returns the choice of the given categories, made now.
func (r *Resolver) Choose(granted Set) Choice {
	if r.Scheme == nil {
		return Choice{At: r.now()}
	}
	return Choice{Granted: granted & r.Scheme.Optional(), At: r.now()}
}

// Decide returns the state of a visitor who made the choice c and whose browser
// sends the signals sig.
func (s *Scheme) Decide(c Choice, sig Signals) State {
	chosen := c.Granted & s.Optional()
	return State{
		Decided: true,
		Chosen:  chosen,
		Granted: chosen.Without(s.DeniedBy(sig)),
		Signals: sig,
		At:      c.At,
	}
}

// find looks our cookie up in all Cookie lines of a request.
func (r *Resolver) find(lines []string, secure bool) (value string, found bool, problem Problem) {
	n := 0
	for _, line := range lines {
		EachCookie(line, func(_, name, v string) bool {
			if n++; n > MaxCookies {
				problem = Malformed
				return false
			}
			if !r.named(name, secure) {
				return true
			}
			if found && v != value {
				problem = Conflicting
			}
			value, found = v, true
			return true
		})
		if n > MaxCookies {
			break
		}
	}
	return value, found, problem
}

// named reports whether name is that of our cookie. Cookie names are compared by
// their exact bytes (RFC 6265bis, section 5.7).
func (r *Resolver) named(name string, secure bool) bool {
	if secure {
		var ok bool
		if name, ok = strings.CutPrefix(name, hostPrefix); !ok {
			return false
		}
	}
	return name == r.baseName()
}

// Name returns the name of our cookie on HTTPS if secure, on HTTP if not.
func (r *Resolver) Name(secure bool) string {
	if secure {
		return hostPrefix + r.baseName()
	}
	return r.baseName()
}

func (r *Resolver) baseName() string {
	if r.CookieName == "" {
		return DefaultCookieName
	}
	return r.CookieName
}

// Lifetime returns how long a choice counts.
func (r *Resolver) Lifetime() time.Duration {
	if r.MaxAge <= 0 {
		return DefaultMaxAge
	}
	return min(r.MaxAge, LongestMaxAge)
}

func (r *Resolver) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// SetCookie returns the value of the Set-Cookie field that stores the choice c
// for the whole site. Scripts cannot read it (HttpOnly), and other sites' posts
// do not carry it (SameSite=Lax).
func (r *Resolver) SetCookie(c Choice, secure bool) string {
	sc := r.Scheme
	if sc == nil {
		sc = new(Scheme)
	}
	if c.At.IsZero() {
		c.At = r.now()
	}
	b := make([]byte, 0, 256)
	b = append(b, r.Name(secure)...)
	b = append(b, '=')
	b = appendValue(b, sc, c)
	b = append(b, "; Path=/; Max-Age="...)
	b = strconv.AppendInt(b, int64(r.Lifetime()/time.Second), 10)
	b = append(b, "; HttpOnly; SameSite=Lax"...)
	if secure {
		b = append(b, "; Secure"...)
	}
	return string(b)
}
