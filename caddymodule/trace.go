package caddymodule

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

func init() {
	flags := flag.NewFlagSet("consent-trace", flag.ExitOnError)
	flags.String("policy", "", "The policy file; without one, the built-in policy")
	flags.String("url", defaultTraceURL, "The address visitors have the page from")
	flags.String("grant", "", "The categories the visitor has granted, separated by commas, or all")
	flags.Bool("held", false, "Show only what is held")
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "consent-trace",
		Usage: "[--policy <file>] [--url <address>] [--grant <categories>] [--held] [<file>|-]",
		Short: "Shows what consent sees in an HTML page, and why it holds what it holds",
		Long: `
Reads an HTML page from a file, or from standard input, as the consent
directive would before it sends the page to a visitor. Prints every tag,
comment and script with its line, column and byte, where parsers may read the
page in different ways, and for each address and inline script of a vendor how
it is judged. Nothing is fetched and nothing is changed.

The visitor has not chosen yet, unless --grant says what they granted.`,
		Flags: flags,
		Func: func(fl caddycmd.Flags) (int, error) {
			err := trace(os.Stdout, os.Stdin, traceOptions{
				policy: fl.String("policy"), url: fl.String("url"), grant: fl.String("grant"),
				held: fl.Bool("held"), args: fl.Args(),
			})
			if err != nil {
				return caddy.ExitCodeFailedStartup, err
			}
			return caddy.ExitCodeSuccess, nil
		},
	})
}

const defaultTraceURL = "https://site.example/"

// traceOptions are the flags and arguments of the command.
type traceOptions struct {
	policy, url, grant string
	held               bool
	args               []string
}

// trace runs the command.
func trace(out io.Writer, in io.Reader, o traceOptions) error {
	page, err := o.page()
	if err != nil {
		return err
	}
	name, doc, err := o.read(in)
	if err != nil {
		return err
	}
	if page.Charset, doc, err = readableText(doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p := tracePrinter{doc: doc, page: page}
	rw := rewriter.New(rewriter.Options{Trace: p.add})
	rw.Reset(io.Discard, page)
	_, err = rw.Write(doc)
	if err == nil {
		err = rw.Close()
	}
	p.print(o.held)
	p.summary(rw.Report())
	if _, werr := out.Write(p.out.Bytes()); werr != nil {
		return fmt.Errorf("writing the trace: %w", werr)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: the gateway breaks this page off", name, err)
	}
	return nil
}

// page reads the policy and joins it with the visitor's grants.
func (o *traceOptions) page() (rewriter.Page, error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return rewriter.Page{}, fmt.Errorf("--url %q: write an address such as %s", o.url, defaultTraceURL)
	}
	pol := policy.Default()
	if o.policy != "" {
		if pol, err = policy.Load(o.policy); err != nil {
			return rewriter.Page{}, err
		}
	}
	state, err := grants(pol.Scheme(), o.grant)
	if err != nil {
		return rewriter.Page{}, err
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return rewriter.Page{
		Bound: pol.Bind(state, hostname(u.Host)), Scheme: u.Scheme, Host: u.Host, Path: path, Stubs: true,
	}, nil
}

// grants returns the state of a visitor who granted the named categories.
func grants(sc *consent.Scheme, list string) (s consent.State, err error) {
	if list == "" {
		return s, nil
	}
	s.Decided = true
	if list == "all" {
		s.Granted = sc.Optional()
	} else {
		for id := range strings.SplitSeq(list, ",") {
			i := sc.Index(strings.TrimSpace(id))
			if i < 0 {
				var known []string
				for _, c := range sc.Categories {
					known = append(known, c.ID)
				}
				return s, fmt.Errorf("--grant: no category %q: the policy has %s", strings.TrimSpace(id), strings.Join(known, ", "))
			}
			s.Granted = s.Granted.With(i)
		}
	}
	s.Chosen = s.Granted
	return s, nil
}

// read returns the page and what to call it.
func (o *traceOptions) read(in io.Reader) (name string, doc []byte, err error) {
	switch {
	case len(o.args) > 1:
		return "", nil, fmt.Errorf("%d files: name one", len(o.args))
	case len(o.args) == 0 || o.args[0] == "-":
		if doc, err = io.ReadAll(in); err != nil {
			return "", nil, fmt.Errorf("reading standard input: %w", err)
		}
		return "standard input", doc, nil
	}
	name = o.args[0]
	if doc, err = os.ReadFile(name); err == nil {
		return name, doc, nil
	}
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return "", nil, fmt.Errorf("%s cannot be read: %w: name an HTML file, or - for standard input", name, err)
}

// readableText returns the page in an encoding that can be read, and which that
// is: the handler looks as far for a character set.
func readableText(doc []byte) (label string, text []byte, err error) {
	none := http.Header{}
	n := min(headSize, len(doc))
	for n < min(maxHead, len(doc)) && rewriter.CharsetMore(none, doc[:n]) {
		n = min(2*n, maxHead, len(doc))
	}
	label, ok := rewriter.Charset(none, doc[:n], n == len(doc))
	if ok {
		return label, doc, nil
	}
	var utf8 bytes.Buffer
	tr := rewriter.NewTranscoder(label, &utf8)
	if _, err := tr.Write(doc); err != nil {
		return "", nil, err
	}
	if err := tr.Close(); err != nil {
		return "", nil, err
	}
	return "utf-8", utf8.Bytes(), nil
}
