package blob

import (
	"context"
	"errors"
	"io/fs"
	"strings"
)

// ErrName is returned for a container or blob name that cannot be stored, for
// instance because it points out of its folder. Trying again does not help.
var ErrName = errors.New("name not allowed")

// ErrMissing is returned for a container that does not exist, by a [Store] that
// does not make containers. Trying again does not help as long as nobody makes
// it.
var ErrMissing = errors.New("the container does not exist")

// Store holds blobs by container and name. Names are made of segments
// separated by slashes.
//
// Put makes a blob durable, or returns an error: [ErrName], [ErrMissing], the
// context's, or another one, which may pass with time. It replaces a blob of the
// same name in one step: a reader sees the old content or the new one. It is
// safe for concurrent use.
type Store interface {
	Put(ctx context.Context, container, name string, body []byte) error
}

// possible reports whether a blob may be named so, in whatever store.
func possible(container, name string) bool {
	return allowed(container) && !strings.Contains(container, "/") && allowed(name)
}

// allowed reports whether a container or blob name stays below its folder on
// any operating system: slash-separated segments, none of them empty or
// beginning with a dot.
func allowed(name string) bool {
	if !fs.ValidPath(name) || len(name) > 1024 || strings.ContainsAny(name, "\\:\x00") {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment[0] == '.' {
			return false
		}
	}
	return true
}
