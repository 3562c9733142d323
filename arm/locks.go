package arm

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// lock is the properties of a lock: it keeps people, whatever their roles, from
// deleting what lies at or below its scope, or from changing it. What the service
// does by itself, such as removing what has expired, no lock prevents.
type lock struct {
	Level  lockLevel `json:"level"`
	Notes  string    `json:"notes,omitempty"`
	Owners []struct {
		ApplicationID string `json:"applicationId"`
	} `json:"owners,omitempty"`
}

type lockLevel string

const (
	cannotDelete lockLevel = "CanNotDelete"
	readOnlyLock lockLevel = "ReadOnly"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (l *lockLevel) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, l, cannotDelete, readOnlyLock)
}

// maxLockNotes is Azure's bound on the notes of a lock, in bytes.
const maxLockNotes = 512

var lockNamePattern = regexp.MustCompile(`^[^<>%&?/]{1,260}$`)

func lockKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: resource.TypeLock, Place: resource.Anywhere, Names: lockNamePattern,
		NameRule: "1 to 260 characters other than < > % & ? /", Status: resource.Status{Create: http.StatusCreated},
	}, resource.Hooks[lock]{
		Prepare: func(_ *resource.Write, _ *resource.Resource, next, _ *lock) error {
			switch {
			case next.Level == "":
				return resource.Invalid("The property 'properties.level' of a lock is required: '%s' or '%s'.", cannotDelete, readOnlyLock)
			case len(next.Notes) > maxLockNotes:
				return resource.Invalid("The notes of a lock have %d bytes; at most %d are allowed.", len(next.Notes), maxLockNotes)
			}
			return nil
		},
	})
}

// listLocks shows the locks on a scope, those above it, which hold for it too,
// and, unless the filter says atScope(), those below.
func (h *Handler) listLocks(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope := rq.path.ID
	kind, err := h.kindOf(resource.TypeLock, rq.version)
	if err != nil {
		return err
	}
	if !kind.Place.Holds(scope) {
		return resource.Errorf(resource.InvalidResourceType, "Resources of type '%s' cannot be listed at '%s'.", kind.Type, scope)
	}
	if err := h.authorize(rq, kind.Type+"/read", scope); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.findPlace(tx, address{id: scope.Provider(kind.Type, "any"), kind: kind}); err != nil {
		return err
	}
	atScope := strings.Contains(strings.ToLower(queryParam(rq.http, "$filter")), "atscope()")
	found := slices.DeleteFunc(tx.List(kind.Type, resource.SubscriptionID(scope.Subscription)), func(r *resource.Resource) bool {
		at := r.ID.Scope()
		return !within(scope, at) && (atScope || !within(at, scope))
	})
	return h.pageOf(rq, found, paging{defaultTop: armTop, maxTop: armTop}, func(r *resource.Resource) (any, error) {
		return h.present(rq, kind, r, resource.ID{})
	})
}

// locks are those that may forbid a request.
type locks struct {
	all  []*resource.Resource
	verb string // last part of the action that was authorized
}

// locksFor returns the locks in the subscription of a request; none when it
// changes nothing, or is about a lock itself: whoever may set it may lift it.
func (h *Handler) locksFor(rq *request, tx resource.Tx) locks {
	if rq.scope.Subscription == "" || hasPrefixFold(rq.action, resource.TypeLock+"/") {
		return locks{}
	}
	verb := strings.ToLower(rq.action[strings.LastIndexByte(rq.action, '/')+1:])
	switch {
	case verb == "read" || rq.action == "":
		return locks{}
	case strings.EqualFold(rq.action, typeTags+"/delete"):
		verb = "write" // taking tags away deletes nothing
	}
	return locks{all: tx.List(resource.TypeLock, resource.SubscriptionID(rq.scope.Subscription)), verb: verb}
}

// refuse fails when a lock forbids the request on target: one at target or above
// it and, for a deletion, one inside of it too.
func (l locks) refuse(target resource.ID) error {
	if target.IsRoot() {
		return nil
	}
	var by []string
	for _, r := range l.all {
		at := r.ID.Scope()
		inside := l.verb == "delete" && within(at, target)
		if !inside && !within(target, at) {
			continue
		}
		// One that cannot be read locks as much as any: it can be lifted, and what it
		// should have kept would be gone.
		if p, err := resource.Properties[lock](r); l.verb == "delete" || err != nil || p.Level == readOnlyLock {
			by = append(by, "'"+r.ID.String()+"'")
		}
	}
	if len(by) == 0 {
		return nil
	}
	return resource.Errorf(resource.ScopeLocked,
		"The scope '%s' cannot perform the %s operation, because it is locked by %s. Remove what locks it and try again.",
		target, l.verb, shortened(by))
}

// shortened joins the first few of a list.
func shortened(all []string) string {
	const few = 10
	if len(all) > few {
		return strings.Join(all[:few], ", ") + " and others"
	}
	return strings.Join(all, ", ")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
