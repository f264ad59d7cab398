// Package pages has the pages that the load tools send through the gateway: saved
// ones of real sites, or made ones where there are none.
package pages

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Page is a page and its name.
type Page struct {
	Name string
	Doc  []byte
}

// Saved returns the saved pages in ../shared/data/pages, seen from the project's
// root, the largest first; nil if there are none. They are other people's and not
// part of the project.
func Saved() ([]Page, error) {
	files, err := filepath.Glob("../shared/data/pages/*.html")
	if err != nil {
		return nil, err
	}
	var list []Page
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, Page{strings.TrimSuffix(filepath.Base(file), ".html"), doc})
	}
	slices.SortFunc(list, func(a, b Page) int {
		return cmp.Or(cmp.Compare(len(b.Doc), len(a.Doc)), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Made returns pages of these sizes, in bytes.
func Made(sizes ...int) []Page {
	var list []Page
	for _, n := range sizes {
		list = append(list, Page{fmt.Sprintf("made-%d", n), Make(n)})
	}
	return list
}

// Mix returns pages whose mean size is near mean: of all pages, given from large
// to small, the largest without the extremes of more than four times as much, and
// so many of those that follow as it takes.
func Mix(list []Page, mean int) []Page {
	var mix []Page
	sum := 0
	for _, p := range list {
		if len(p.Doc) > 4*mean && len(list) > 1 {
			continue
		}
		if len(mix) > 0 && sum/len(mix) <= mean {
			break
		}
		mix = append(mix, p)
		sum += len(p.Doc)
	}
	return mix
}

// Mean returns the mean size of pages.
func Mean(list []Page) int {
	sum := 0
	for _, p := range list {
		sum += len(p.Doc)
	}
	return sum / max(1, len(list))
}

// Make returns a page of size bytes, or a little more: text, links and pictures of
// the site, and every few kilobytes something of a vendor's.
func Make(size int) []byte {
	const (
		head = "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Made</title>" +
			"<link rel=stylesheet href=/site.css></head><body>\n"
		tail = "</body></html>\n"
	)
	vendors := []string{
		`<script async src="https://www.googletagmanager.com/gtag/js?id=G-4LD3RF1NCH"></script>` + "\n",
		`<script>window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}gtag('js',new Date());gtag('config','G-4LD3RF1NCH')</script>` + "\n",
		`<iframe width=560 height=315 src="https://www.youtube.com/embed/dQw4w9WgXcQ"></iframe>` + "\n",
		`<img src="https://www.facebook.com/tr?id=1048271936504821&amp;ev=PageView" width=1 height=1 alt="">` + "\n",
	}
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len()+len(tail) < size; i++ {
		if i%16 == 0 {
			b.WriteString(vendors[i/16%len(vendors)])
			continue
		}
		fmt.Fprintf(&b, "<p class=\"text n%d\"><a href=\"/articles/%d\">Article %d</a> <img src=\"/img/%d.png\" alt=\"\"> Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.</p>\n", i%7, i, i, i)
	}
	b.WriteString(tail)
	return []byte(b.String())
}
