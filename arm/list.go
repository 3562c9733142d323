package arm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	defaultTop = 20
	maxTop     = 100
	// armTop is both in the lists of ARM itself.
	armTop = 1000
)

// paging says how a list is cut into pages, and what is in it; a nil match takes
// everything.
type paging struct {
	defaultTop, maxTop int
	match              func(*resource.Resource) bool
}

// largestPage is how many bytes a page has before it ends, however many more there
// may be on it. The last of them may be beyond.
const largestPage = 4 << 20

// pageWriter makes the JSON of a page, so that its size is known.
type pageWriter struct {
	most, n int
	body    []byte
}

func newPageWriter(most int) *pageWriter {
	return &pageWriter{most: most, body: []byte(`{"value":[`)}
}

func (p *pageWriter) full() bool { return p.n >= p.most || len(p.body) >= largestPage }

func (p *pageWriter) add(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if p.n++; p.n > 1 {
		p.body = append(p.body, ',')
	}
	p.body = append(p.body, data...)
	return nil
}

// write answers with the page; next is the link to the rest, or "".
func (p *pageWriter) write(rq *request, next string) error {
	p.body = append(p.body, ']')
	if next != "" {
		link, err := json.Marshal(next)
		if err != nil {
			return err
		}
		p.body = append(append(p.body, `,"nextLink":`...), link...)
	}
	writeRaw(rq.out, http.StatusOK, append(p.body, '}'))
	return nil
}

type page struct {
	Value    []any  `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// list serves the collections of a kind: in a parent, a group or a subscription.
func (h *Handler) list(rq *request, kind *resource.Kind) error {
	scope := rq.path.ID
	nested := strings.Count(kind.Type, "/") > 1
	if !listable(kind, scope, rq.path.Beyond, nested) {
		return resource.Errorf(resource.InvalidResourceType, "Resources of type '%s' cannot be listed at '%s'.", kind.Type, scope)
	}
	if err := h.mayRead(rq, kind, scope); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.findFor(tx, kind, scope); err != nil {
		return err
	}
	if scope.Namespace != "" && !isListed(tx, scope) {
		return notFound(scope)
	}
	resources := h.existing(rq, kind, scope)
	if kind.Place == resource.Anywhere && scope.Namespace != "" && !nested {
		// What hangs on resources inside of this one is no part of the list.
		resources = slices.DeleteFunc(resources, func(r *resource.Resource) bool { return !r.ID.Scope().Equal(scope) })
	}
	return h.page(rq, resources, func(r *resource.Resource) (any, error) { return h.present(rq, kind, r, resource.ID{}) })
}

// isListed reports whether there is something to list event subscriptions of. A
// domain topic need not exist for that, as it comes with its first one.
func isListed(tx resource.Tx, scope resource.ID) bool {
	if strings.EqualFold(scope.Type(), eventgrid.TypeDomainTopic) {
		scope = scope.Parent()
	}
	_, ok := tx.Get(scope)
	return ok
}

// listable reports whether there is a collection of a kind at a scope; beyond is
// set when a provider stands between the two, nested when the type says that
// resources of the kind lie in another one.
func listable(kind *resource.Kind, scope resource.ID, beyond, nested bool) bool {
	switch kind.Place {
	case resource.Extension:
		return false
	case resource.InTenant:
		return scope.IsRoot()
	case resource.Anywhere:
		return scope.Subscription != "" && nested != beyond
	default:
		return scope.Subscription != "" && nested == (len(scope.Types) > 0)
	}
}

// page is pageOf by the rules of Event Grid's own lists, which are filtered by
// name.
func (h *Handler) page(rq *request, resources []*resource.Resource, show func(*resource.Resource) (any, error)) error {
	matches, err := parseNameFilter(queryParam(rq.http, "$filter"))
	if err != nil {
		return err
	}
	by := paging{defaultTop: defaultTop, maxTop: maxTop, match: func(r *resource.Resource) bool { return matches(r.ID.Name()) }}
	return h.pageOf(rq, resources, by, show)
}

// pageOf answers with one page of resources: filtered, cut at $top, with a link
// to the rest, in the order in which they were made, as Azure does. The link holds
// the time and id after which to go on, so resources that come or go between two
// pages shift nothing.
func (h *Handler) pageOf(rq *request, resources []*resource.Resource, by paging, show func(*resource.Resource) (any, error)) error {
	resources = slices.Clone(resources)
	slices.SortStableFunc(resources, func(a, b *resource.Resource) int { return a.CreatedAt.Compare(b.CreatedAt) }) // they come by id
	return writePage(rq, resources, by, by.match, byCreation, h.readableOnly(show))
}

// byCreation is the place of a resource among others, older ones first.
func byCreation(r *resource.Resource) string {
	return fmt.Sprintf("%016x %s", uint64(max(r.CreatedAt.UnixNano(), 0)), r.ID.Key())
}

// writePage is pageOf for anything that is sorted by a key. What is shown as nil is
// left out.
func writePage[T any](rq *request, all []T, by paging, match func(T) bool, key func(T) string, show func(T) (any, error)) error {
	top, err := topOf(rq.http, by)
	if err != nil {
		return err
	}
	start := 0
	if token := queryParam(rq.http, "$skiptoken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return resource.Invalid("The $skiptoken '%s' is not one of this server.", token)
		}
		start = sort.Search(len(all), func(i int) bool { return key(all[i]) > string(after) })
	}
	out, last := newPageWriter(top), ""
	for _, r := range all[start:] {
		if match != nil && !match(r) {
			continue
		}
		if out.full() {
			return out.write(rq, nextLink(rq, last))
		}
		v, err := show(r)
		if err != nil {
			return err
		}
		if last = key(r); v != nil {
			if err := out.add(v); err != nil {
				return err
			}
		}
	}
	return out.write(rq, "")
}

func nextLink(rq *request, after string) string {
	q := rq.http.URL.Query()
	q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(after)))
	next := url.URL{Path: rq.http.URL.Path, RawQuery: q.Encode()}
	return rq.base + next.String()
}

func topOf(r *http.Request, by paging) (int, error) {
	text := queryParam(r, "$top")
	if text == "" {
		return by.defaultTop, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > by.maxTop {
		return 0, resource.Invalid("The $top parameter is '%s'; it must be a number between 1 and %d.", text, by.maxTop)
	}
	return n, nil
}
