// Package cases holds the documents that the rewriter's tests and the browser's
// tests judge: hostile ones, which load or run something of a blocked vendor in at
// least one parser, and inert ones, which must leave as they came. They stand in
// cases/*.txt; the README there tells the form.
package cases

import (
	"embed"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
)

//go:embed testdata/*.txt
var files embed.FS

// A Case is one document and what is known of it.
type Case struct {
	File string // without ".txt"
	Line int    // of its heading
	Name string // unique
	Live bool   // some parser loads or runs something blocked in it

	// Idle says why a Chromium that nobody touches fetches nothing blocked from a
	// live case, "" if it does fetch.
	Idle string
	// Costs says why a live case loses something allowed when the blocked thing
	// is held, "" if it must not.
	Costs string
	// Over says why an inert case is held all the same, "" if it must not.
	Over string
	// Blind says that the reference parser of the rewriter's own tests sees
	// nothing live in the case.
	Blind bool
	// Refused says that the rewriter breaks the document off.
	Refused bool
	// Charset is what Content-Type says; "" for utf-8, "none" for nothing at all.
	Charset string
	Plain   bool          // the page is served over plain HTTP
	NoJS    bool          // JavaScript is off
	Names   bool          // what counts is which names the browser looks up
	Shot    bool          // worth a picture, where pictures are taken
	Wait    time.Duration // how much longer than usual Chromium may take to fetch

	doc string
}

// inertFiles are the files whose cases are not live.
var inertFiles = []string{"inert", "lookalikes", "ordinary"}

// Load returns all cases, in the order of the files' names and of their lines.
func Load() ([]Case, error) {
	entries, err := files.ReadDir("testdata")
	if err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	var all []Case
	seen := make(map[string]bool)
	for _, e := range entries {
		text, err := files.ReadFile(path.Join("testdata", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the cases: %w", err)
		}
		cases, err := parse(strings.TrimSuffix(e.Name(), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			if seen[c.Name] {
				return nil, fmt.Errorf("%s:%d: a second case %q", e.Name(), c.Line, c.Name)
			}
			seen[c.Name] = true
		}
		all = append(all, cases...)
	}
	return all, nil
}

// parse reads one file.
func parse(file, text string) ([]Case, error) {
	var cases []Case
	line := 1
	for i, part := range strings.Split("\n"+strings.TrimSuffix(text, "\n"), "\n=== ") {
		if i > 0 {
			head, doc, _ := strings.Cut(part, "\n")
			c := Case{File: file, Line: line, Live: !slices.Contains(inertFiles, file), doc: doc}
			name, keys, _ := strings.Cut(head, " | ")
			if c.Name = name; keys != "" {
				for key := range strings.SplitSeq(keys, " | ") {
					if err := c.set(key); err != nil {
						return nil, fmt.Errorf("%s.txt:%d: %w", file, line, err)
					}
				}
			}
			if _, err := expand(c.doc, ""); err != nil {
				return nil, fmt.Errorf("%s.txt:%d: %w", file, line, err)
			}
			cases = append(cases, c)
		}
		line += strings.Count(part, "\n")
		if i > 0 {
			line++ // the line break in front of the heading
		}
	}
	return cases, nil
}

// set reads one key of a heading.
func (c *Case) set(key string) error {
	name, value, _ := strings.Cut(key, "=")
	switch name {
	case "idle":
		c.Idle = value
	case "costs":
		c.Costs = value
	case "over":
		c.Over = value
	case "charset":
		c.Charset = value
	case "blind":
		c.Blind = true
	case "refused":
		c.Refused = true
	case "plain":
		c.Plain = true
	case "shot":
		c.Shot = true
	case "scriptless":
		c.NoJS = true
	case "names":
		c.Names = true
	case "wait":
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		c.Wait = d
	default:
		return fmt.Errorf("unknown key %q", name)
	}
	if value == "" && (name == "idle" || name == "costs" || name == "over" || name == "charset") {
		return fmt.Errorf("%s says nothing", name)
	}
	return nil
}

// Document returns the case's document. node is put in front of every third
// party's host, and of the site's further ones, so that requests of many
// documents can be told apart: "a7." makes "a7.connect.facebook.net", which
// belongs to the same vendor.
func (c *Case) Document(node string) []byte {
	doc, err := expand(c.doc, node)
	if err != nil {
		panic(err) // parse has tried it
	}
	return []byte(doc)
}

// blockedLoader is inline code that loads the vendor's script, as the vendor
// publishes it.
const blockedLoader = `!function(f,b,e,v,n,t,s){if(f.fbq)return;n=f.fbq=function(){n.callMethod?` +
	`n.callMethod.apply(n,arguments):n.queue.push(arguments)};if(!f._fbq)f._fbq=n;n.push=n;n.loaded=!0;` +
	`n.version='2.0';n.queue=[];t=b.createElement(e);t.async=!0;t.src=v;s=b.getElementsByTagName(e)[0];` +
	`s.parentNode.insertBefore(t,s)}(window,document,'script','§S');` +
	`fbq('init','1');fbq('track','PageView');`

// handlerLoader needs no script element in the page.
const handlerLoader = `var s=document.createElement('script');s.src='§S';document.documentElement.append(s)`

// Expand replaces what begins with "§" as in a case's document.
func Expand(s string) (string, error) { return expand(s, "") }

// expand replaces what begins with "§".
func expand(s, node string) (string, error) {
	words := strings.NewReplacer(
		"§S", "https://§Nconnect.facebook.net/en_US/fbevents.js",
		"§P", "https://§Nwww.facebook.com/tr?id=1&ev=PageView",
		"§A", "https://§Ncdn.example.net",
	)
	s = words.Replace(strings.NewReplacer("§L", blockedLoader, "§E", handlerLoader).Replace(s))
	s = strings.ReplaceAll(s, "§N", node)
	var out strings.Builder
	for {
		before, rest, more := strings.Cut(s, "§")
		out.WriteString(before)
		if !more {
			return out.String(), nil
		}
		switch {
		case len(rest) > 2 && rest[0] == 'x':
			b, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("byte §%.3s: %w", rest, err)
			}
			out.WriteByte(byte(b))
			s = rest[3:]
		case strings.HasPrefix(rest, "b64["):
			inner, after, ok := strings.Cut(rest[len("b64["):], "§]")
			if !ok {
				return "", fmt.Errorf("§b64[ without §]")
			}
			inner, err := expand(inner, node)
			if err != nil {
				return "", err
			}
			out.WriteString(base64.StdEncoding.EncodeToString([]byte(inner)))
			s = after
		case strings.HasPrefix(rest, "u16le["), strings.HasPrefix(rest, "u16be["):
			inner, after, ok := strings.Cut(rest[len("u16le["):], "§]")
			if !ok {
				return "", fmt.Errorf("§u16 without §]")
			}
			order := unicode.LittleEndian
			if rest[len("u16")] == 'b' {
				order = unicode.BigEndian
			}
			inner, err := expand(inner, node)
			if err != nil {
				return "", err
			}
			if inner, err = unicode.UTF16(order, unicode.IgnoreBOM).NewEncoder().String(inner); err != nil {
				return "", err
			}
			out.WriteString(inner)
			s = after
		case strings.HasPrefix(rest, "r"):
			count, after, _ := strings.Cut(rest[1:], "[")
			inner, after, ok := strings.Cut(after, "§]")
			n, err := strconv.Atoi(count)
			if err != nil || !ok {
				return "", fmt.Errorf("§r without a number, [ and §]")
			}
			out.WriteString(strings.Repeat(inner, n))
			s = after
		default:
			return "", fmt.Errorf("unknown word §%.3s", rest)
		}
	}
}
