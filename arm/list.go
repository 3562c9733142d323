package arm

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/intertie/intertie/resource"
)

const (
	defaultTop = 20
	maxTop     = 100
)

type page struct {
	Value    []any  `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// list serves the collections of a kind: in a parent, a group or a subscription.
func (h *Handler) list(rq *request, kind *resource.Kind) error {
	scope := rq.path.ID
	nested := strings.Count(kind.Type, "/") > 1
	if kind.Place == resource.Extension || scope.Subscription == "" || nested != (len(scope.Types) > 0) {
		return resource.Errorf(resource.InvalidResourceType, "Resources of type '%s' cannot be listed at '%s'.", kind.Type, scope)
	}
	if err := h.authorize(rq, kind.Type+"/read", scope); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.find(tx, scope); err != nil {
		return err
	}
	if nested {
		if _, ok := tx.Get(scope); !ok {
			return notFound(scope)
		}
	}
	resources := h.Store.List(kind.Type, scope)
	return h.page(rq, resources, func(r *resource.Resource) (any, error) { return h.present(rq, kind, r, resource.ID{}) })
}

// page answers with one page of resources: filtered by name, cut at $top, with
// a link to the rest. The link holds the id after which to go on, so resources
// that come or go between two pages shift nothing.
func (h *Handler) page(rq *request, resources []*resource.Resource, show func(*resource.Resource) (any, error)) error {
	top, err := topOf(rq.http)
	if err != nil {
		return err
	}
	matches, err := parseNameFilter(queryParam(rq.http, "$filter"))
	if err != nil {
		return err
	}
	start := 0
	if token := queryParam(rq.http, "$skiptoken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return resource.Invalid("The $skiptoken '%s' is not one of this server.", token)
		}
		start = sort.Search(len(resources), func(i int) bool { return resources[i].ID.Key() > string(after) })
	}
	out, last := page{Value: []any{}}, ""
	for _, r := range resources[start:] {
		if !matches(r.ID.Name()) {
			continue
		}
		if len(out.Value) == top {
			out.NextLink = nextLink(rq, last)
			break
		}
		v, err := show(r)
		if err != nil {
			return err
		}
		out.Value, last = append(out.Value, v), r.ID.Key()
	}
	writeJSON(rq.out, http.StatusOK, out)
	return nil
}

func nextLink(rq *request, after string) string {
	q := rq.http.URL.Query()
	q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(after)))
	next := url.URL{Path: rq.http.URL.Path, RawQuery: q.Encode()}
	return rq.base + next.String()
}

func topOf(r *http.Request) (int, error) {
	text := queryParam(r, "$top")
	if text == "" {
		return defaultTop, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxTop {
		return 0, resource.Invalid("The $top parameter is '%s'; it must be a number between 1 and %d.", text, maxTop)
	}
	return n, nil
}
