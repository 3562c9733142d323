package resource

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
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
	// Due returns when time alone will change a resource; the zero time is never.
	Due func(r *Resource) time.Time
	// Expire makes the change that fell due. It returns false when the change is
	// that the resource has to go; the caller then removes it.
	Expire func(d *Deletion, r *Resource) (stays bool, err error)
}

// Remove deletes a resource by the rules of its kind, with the roles assigned at
// it and the locks on it: they must not apply to a later one of the same name.
//
// It returns false when so much goes along that it takes several transactions:
// then only a part is gone, and the caller commits and calls again.
func (k *Kind) Remove(d *Deletion, r *Resource) (done bool, err error) {
	if err := k.Delete(d, r); err != nil {
		return false, err
	}
	if d.More {
		return false, nil
	}
	DeleteWhole(d.Tx, r.ID)
	return true, nil
}

// DeleteWhole deletes a resource with the roles assigned at it and the locks on it,
// and asks no rules: they are for whoever deletes one along with another.
func DeleteWhole(tx Tx, id ID) {
	for _, typ := range []string{TypeRoleAssignment, TypeLock} {
		for _, a := range tx.List(typ, id) {
			tx.Delete(a.ID)
		}
	}
	tx.Delete(id)
}

// Proof is a result of [Kind.Consult] that holds something for the time of the
// write.
type Proof interface{ Forget() }

// Spec is the part of a kind that is plain data.
type Spec struct {
	// Type is the full type in canonical casing.
	Type string
	// Place is where resources of the kind live.
	Place Place
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
	// Versions are the api-versions that know the kind, oldest first; none means
	// any well-formed one.
	Versions []string
	// FlatPatch is set where Azure's PATCH body is the properties themselves.
	FlatPatch bool
	// Status holds the codes that the strictest client demands.
	Status Status
	// Actions are the POST operations, keyed by lower-case name.
	Actions map[string]Action
	// Identity is set where a resource may have a managed identity.
	Identity bool
	// Extra names the further members that stand beside the properties.
	Extra []string
	// After names the types that have to be gone from a group before resources of
	// this kind go; nested types need no mention (see [DeletionOrder]).
	After []string
}

// Place is where the resources of a kind live.
type Place uint8

const (
	// InGroup is in a resource group, or nested in a resource there.
	InGroup Place = iota
	// Extension is on any other resource, a group or a subscription.
	Extension
	// InTenant is in no subscription: there is one for everybody.
	InTenant
	// Anywhere is in a subscription, a group, or on another resource that is there;
	// unlike an Extension, it is stored under the very id that clients use.
	Anywhere
)

// Holds reports whether a resource of the place may have this [ID.Scope].
func (p Place) Holds(scope ID) bool {
	switch p {
	case Extension, Anywhere:
		return scope.Subscription != ""
	case InTenant:
		return scope.IsRoot()
	default:
		return scope.Group != "" && scope.Namespace == ""
	}
}

// Status holds success codes; zero means 200. Create is that of a PUT that
// creates; zero means that of any PUT.
type Status struct{ Put, Patch, Delete, Create int }

// PutStatus returns the code of a PUT.
func (s Status) PutStatus() int { return orOK(s.Put) }

// CreateStatus returns the code of a PUT that created something.
func (s Status) CreateStatus() int {
	if s.Create != 0 {
		return s.Create
	}
	return s.PutStatus()
}

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

// Reader is what can be asked about resources.
type Reader interface {
	// Get returns a resource; it must not be modified.
	Get(ID) (*Resource, bool)
	// List returns the resources of one type (any type when empty) at or below
	// a scope, ordered by id.
	List(typ string, scope ID) []*Resource
}

// Tx is what the rules may do with resources inside one transaction.
type Tx interface {
	Reader
	// Put writes a resource, which must not be modified afterwards.
	Put(*Resource)
	// Delete removes a resource if it is there.
	Delete(ID)
}

// Write is one PUT or PATCH.
type Write struct {
	Tx    Tx
	ID    ID
	Old   *Resource // nil: the resource is being created
	Body  Body
	Patch bool
	// APIVersion is that of the request; members that it does not know stay as they
	// are. Empty knows all.
	APIVersion string
	Proof      any    // what Consult found out; nil on the dry run before it
	Caller     string // object id
	Now        time.Time
	// Authorize asks whether the caller may do something elsewhere that the write
	// amounts to; its error is the answer to the caller. Nil permits nothing.
	Authorize func(action string, scope ID) error
}

// Require fails unless the caller of the write may also do action at scope.
func (w *Write) Require(action string, scope ID) error {
	if w.Authorize == nil {
		return Errorf(AuthorizationFailed, "The caller may not perform action '%s' over scope '%s'.", action, scope)
	}
	return w.Authorize(action, scope)
}

// Deletion is one DELETE, or the removal of a resource by the service itself.
type Deletion struct {
	Tx     Tx
	Caller string // object id
	Now    time.Time
	// ByService is set when no one asked: the resource has expired.
	ByService bool
	// More is set by a kind that could remove only a part of what goes along with
	// a resource: the resource itself must then stay (see [Kind.Remove]).
	More bool
}

// Body is a decoded request body. Members that were not sent are nil.
type Body struct {
	Location   string
	Tags       map[string]string
	HasTags    bool
	Identity   []byte
	Properties []byte // JSON object, or nil
	// Extra holds the members of the body that have no field here, by name; a
	// kind takes those that its Spec names.
	Extra map[string]json.RawMessage
}

// Action is a POST operation on a resource. It returns what to answer; nil
// stands for the resource itself.
type Action struct {
	// Name is the name in canonical casing, as roles have it.
	Name string
	// Reads is set for actions that write nothing; they see the state outside
	// of a transaction.
	Reads bool
	Do    func(*Call) (any, error)
}

// Actions returns actions in the form that [Spec] takes.
func Actions(all ...Action) map[string]Action {
	m := make(map[string]Action, len(all))
	for _, a := range all {
		m[strings.ToLower(a.Name)] = a
	}
	return m
}

// Call is one POST.
type Call struct {
	Tx       Tx
	Resource *Resource
	Body     []byte // JSON, or empty
	Caller   string // object id
	Now      time.Time
}
