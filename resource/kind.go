package resource

import (
	"context"
	"regexp"
	"time"
)

// Kind declares one type of resource to the generic engine of the management
// API: everything the engine must know to serve create, read, update, delete,
// list and actions. [Define] makes one from typed hooks.
type Kind struct {
	Spec
	// Write builds the new version of a resource from a request body.
	Write func(*Write) (*Resource, error)
	// Consult asks the outside world about a new version before it is committed
	// and outside of any transaction; its result reaches the second call of Write
	// as Write.Proof; one that is a [Proof] is told when the write is over. Nil
	// for kinds that need no one's consent.
	Consult func(ctx context.Context, next, old *Resource) (proof any, err error)
	// Delete makes the changes that come with a deletion, or refuses it.
	Delete func(d *Deletion, r *Resource) error
	// Present returns the properties as GET shows them.
	Present func(r *Resource, v View) (any, error)
}

// Proof is a result of [Kind.Consult] that holds something for the time of the
// write.
type Proof interface{ Forget() }

// Spec is the part of a kind that is plain data.
type Spec struct {
	// Type is the full type in canonical casing.
	Type string
	// Names is the pattern of the last name; nil accepts any.
	Names *regexp.Regexp
	// NameRule says in words what Names demands, for error messages.
	NameRule string
	// Tracked kinds have a location and tags.
	Tracked bool
	// Location is used when a tracked resource is sent without one; with an
	// empty Location the request is refused.
	Location string
	// Service kinds are created by the service alone: a PUT may change one that
	// exists and never makes one.
	Service bool
	// Versions are the api-versions that know the kind, oldest first.
	Versions []string
	// FlatPatch is set where Azure's PATCH body is the properties themselves.
	FlatPatch bool
	// Status holds the codes that the strictest client demands.
	Status Status
	// Actions are the POST operations, keyed by lower-case name.
	Actions map[string]Action
}

// Status holds success codes; zero means 200.
type Status struct{ Put, Patch, Delete int }

// PutStatus returns the code of a PUT.
func (s Status) PutStatus() int { return orOK(s.Put) }

// PatchStatus returns the code of a PATCH.
func (s Status) PatchStatus() int { return orOK(s.Patch) }

// DeleteStatus returns the code of a DELETE that removed something.
func (s Status) DeleteStatus() int { return orOK(s.Delete) }

func orOK(code int) int {
	if code == 0 {
		return 200
	}
	return code
}

// View says how the caller of a read sees this server.
type View struct {
	// BaseURL is scheme and host that the client used, without a final slash.
	BaseURL string
	// PublishDomain is set when publish endpoints are host-style.
	PublishDomain string
	APIVersion    string
	// Route is the id by which the client asked, where a resource can be reached
	// by several; zero means the resource's own.
	Route ID
}

// Tx is what the rules may do with resources inside one transaction.
type Tx interface {
	// Get returns a resource; it must not be modified.
	Get(ID) (*Resource, bool)
	// List returns the resources of one type (any type when empty) at or below
	// a scope, ordered by id.
	List(typ string, scope ID) []*Resource
	// Put writes a resource, which must not be modified afterwards.
	Put(*Resource)
	// Delete removes a resource if it is there.
	Delete(ID)
}

// Write is one PUT or PATCH.
type Write struct {
	Tx     Tx
	ID     ID
	Old    *Resource // nil: the resource is being created
	Body   Body
	Patch  bool
	Proof  any    // what Consult found out; nil on the dry run before it
	Caller string // object id
	Now    time.Time
}

// Deletion is one DELETE, or the removal of a resource by the service itself.
type Deletion struct {
	Tx     Tx
	Caller string // object id
	Now    time.Time
	// ByService is set when no one asked: the resource has expired.
	ByService bool
}

// Body is a decoded request body. Members that were not sent are nil.
type Body struct {
	Location   string
	Tags       map[string]string
	HasTags    bool
	Identity   []byte
	Properties []byte // JSON object, or nil
}

// Action is a POST operation on a resource. It returns what to answer; nil
// stands for the resource itself.
type Action struct {
	// Reads is set for actions that write nothing; they see the state outside
	// of a transaction.
	Reads bool
	Do    func(*Call) (any, error)
}

// Call is one POST.
type Call struct {
	Tx       Tx
	Resource *Resource
	Body     []byte // JSON, or empty
	Caller   string // object id
	Now      time.Time
}
