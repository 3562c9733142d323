package arm

import (
	"net/http"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// Types of the extension form, which no store holds: they are other ways to what
// other kinds hold.
const (
	typeExtensionTopic = eventgrid.Namespace + "/extensionTopics"
	// nestedSubscriptions is the last type segment of stored event subscriptions.
	nestedSubscriptions = "eventSubscriptions"
)

// extensionKinds declares them. stored is the kind of any stored event
// subscription: all have the same actions.
func extensionKinds(stored *resource.Kind) []*resource.Kind {
	versions := eventgrid.SubscriptionVersions()
	return []*resource.Kind{
		{Spec: resource.Spec{
			Type: eventgrid.TypeEventSubscription, Place: resource.Extension, Versions: versions, FlatPatch: true,
			Status: resource.Status{Put: http.StatusCreated, Patch: http.StatusCreated}, Actions: stored.Actions,
		}},
		{Spec: resource.Spec{Type: typeExtensionTopic, Place: resource.Extension, Versions: versions}},
	}
}

// address is how a client names a resource. Roles must allow the type of the
// address, and the answer looks as the address does; what is stored may have
// another id.
type address struct {
	id   resource.ID
	kind *resource.Kind // of the address
}

// action is the operation as roles name it.
func (a address) action(verb string) string { return a.kind.Type + "/" + verb }

func (a address) extension() bool { return a.kind.Place == resource.Extension }

// kindOf finds a kind and checks that the api-version knows it.
func (h *Handler) kindOf(typ, version string) (*resource.Kind, error) {
	key := strings.ToLower(typ)
	var kind *resource.Kind
	ok := false
	for _, kinds := range []map[string]*resource.Kind{h.kinds, h.extensions, h.own} {
		if kind, ok = kinds[key]; ok {
			break
		}
	}
	if !ok {
		kind, ok = foreignKind(typ)
	}
	if !ok {
		ns, t, _ := strings.Cut(typ, "/")
		return nil, resource.Errorf(resource.InvalidResourceType,
			"The resource type '%s' could not be found in the namespace '%s' for api version '%s'.", t, ns, version)
	}
	if kind.Versions == nil {
		return kind, checkVersion(version)
	}
	if err := checkKnown(kind.Type, kind.Versions, version); err != nil {
		return nil, err
	}
	return kind, nil
}

// checkKnown refuses an api-version that does not know a type.
func checkKnown(typ string, versions []string, version string) error {
	if anyFold(version, versions...) {
		return nil
	}
	return resource.Errorf(resource.NoRegisteredProviderFound,
		"No registered resource provider found for API version '%s' for type '%s'. The supported api-versions are '%s'.",
		version, typ, strings.Join(versions, ", "))
}

// addressOf reads the id of a resource, in the casing of its type, and refuses
// one of the right type in the wrong place.
func (h *Handler) addressOf(id resource.ID, version string) (address, error) {
	kind, err := h.kindOf(id.Type(), version)
	if err != nil {
		return address{}, err
	}
	if !kind.Place.Holds(id.Scope()) {
		where := "a subscription, or anything in one"
		switch kind.Place {
		case resource.InGroup:
			where = "a resource group"
		case resource.InTenant:
			where = "no subscription"
		}
		return address{}, resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' lives in %s; the path '%s' names none.", kind.Type, where, id)
	}
	return address{id: canonical(id, kind), kind: kind}, nil
}

// canonical returns the id with the kind's casing of the type.
func canonical(id resource.ID, kind *resource.Kind) resource.ID {
	return id.Scope().Provider(kind.Type, id.Names...)
}

// rooted returns the id of a resource to be created in the casing that what is
// around it was created in.
func rooted(tx resource.Tx, id resource.ID) resource.ID {
	around, ok := tx.Get(id.Parent())
	switch {
	case !ok:
		return id
	case len(id.Types) > 1:
		return around.ID.Child(id.Types[len(id.Types)-1], id.Name())
	default:
		return around.ID.Provider(id.Type(), id.Names...)
	}
}

// locate returns where the resource of an address is stored, and its kind there.
// It returns false in the extension form when nothing can be stored for the scope.
func (h *Handler) locate(tx resource.Tx, a address) (resource.ID, *resource.Kind, bool) {
	if !a.extension() {
		return a.id, a.kind, true
	}
	home, ok := eventgrid.Home(tx, a.id.Scope())
	if !ok {
		return resource.ID{}, nil, false
	}
	return h.inHome(home, a.id.Name())
}

func (h *Handler) inHome(home resource.ID, name string) (resource.ID, *resource.Kind, bool) {
	kind, ok := h.kinds[strings.ToLower(home.Type()+"/"+nestedSubscriptions)]
	if !ok {
		return resource.ID{}, nil, false
	}
	return canonical(home.Child(nestedSubscriptions, name), kind), kind, true
}

// makeRoom is locate before a write that may create: it also creates what the
// resource will be stored in, as far as the rules do so unasked.
func (h *Handler) makeRoom(rq *request, tx resource.Tx, a address) (resource.ID, *resource.Kind, error) {
	id, kind, ok := h.locate(tx, a)
	if !a.extension() {
		if strings.EqualFold(kind.Type, eventgrid.TypeDomainTopicEventSubscription) {
			// The first subscription makes the domain topic, in either form. Where it
			// may not, the missing parent is what is wrong.
			if _, err := h.Rules.MakeHome(tx, id.Parent(), rq.caller.ObjectID, rq.now); err != nil {
				return id, kind, nil //nolint:nilerr // see above
			}
		}
		return id, kind, nil
	}
	if ok {
		return id, kind, nil
	}
	home, err := h.Rules.MakeHome(tx, a.id.Scope(), rq.caller.ObjectID, rq.now)
	if err != nil {
		return resource.ID{}, nil, err
	}
	if id, kind, ok = h.inHome(home, a.id.Name()); !ok {
		return resource.ID{}, nil, notFound(a.id)
	}
	return id, kind, nil
}

// shown returns the id by which a stored resource appears at an address: zero
// for its own.
func (h *Handler) shown(tx resource.Tx, a address, r *resource.Resource) resource.ID {
	if !a.extension() {
		return resource.ID{}
	}
	return extensionID(tx, r, a.id.Scope())
}

// extensionID returns the id of a stored event subscription in the extension
// form, with the casing that its scope was created in. The scope is the source of
// its topic, unless it was asked for at the topic itself.
func extensionID(tx resource.Tx, r *resource.Resource, asked resource.ID) resource.ID {
	scope := r.ID.Parent()
	if topic, ok := tx.Get(scope); ok && !asked.Equal(scope) {
		scope = eventgrid.SourceOf(tx, topic)
	}
	return scope.Provider(eventgrid.TypeEventSubscription, r.ID.Name())
}

// note tells the request which resource it is about.
func (h *Handler) note(rq *request, tx resource.Tx, a address, r *resource.Resource) {
	subject := h.shown(tx, a, r)
	if subject.IsRoot() {
		subject = r.ID
	}
	rq.concerns(subject, r.ID)
}

// find makes sure that everything around a resource of Event Grid is there. One
// of another provider that is extended need not be: its name is enough.
func (h *Handler) find(tx resource.Tx, id resource.ID) error {
	if err := eventgrid.RequireRegistered(tx, id.Subscription); err != nil {
		return err
	}
	return findGroup(tx, id)
}

// findFor is find for a resource of any kind. No other provider than Event Grid
// has to be registered.
func (h *Handler) findFor(tx resource.Tx, kind *resource.Kind, id resource.ID) error {
	switch {
	case kind.Place == resource.InTenant:
		return nil
	case kind.Place != resource.Anywhere:
		return h.find(tx, id)
	}
	if _, ok := tx.Get(resource.SubscriptionID(id.Subscription)); !ok {
		return subscriptionNotFound(id)
	}
	return findGroup(tx, id)
}

func findGroup(tx resource.Tx, id resource.ID) error {
	if id.Group != "" {
		if _, ok := tx.Get(id.GroupScope()); !ok {
			return groupNotFound(id)
		}
	}
	return nil
}

// findScope is find for what hangs on a scope: one of ours has to be there.
func (h *Handler) findScope(tx resource.Tx, scope resource.ID) error {
	if err := h.find(tx, scope); err != nil {
		return err
	}
	if !strings.EqualFold(scope.Namespace, eventgrid.Namespace) {
		return nil
	}
	if _, ok := tx.Get(scope); !ok {
		return notFound(scope)
	}
	return nil
}

// findAround is findFor for a resource that is looked for, or, in the extension
// form, findScope.
func (h *Handler) findAround(tx resource.Tx, a address) error {
	if a.extension() {
		return h.findScope(tx, a.id.Scope())
	}
	return h.findPlace(tx, a)
}

// findPlace is findFor with the resource that another hangs on.
func (h *Handler) findPlace(tx resource.Tx, a address) error {
	if err := h.findFor(tx, a.kind, a.id); err != nil || a.kind.Place != resource.Anywhere {
		return err
	}
	if scope := a.id.Scope(); scope.Namespace != "" {
		if _, ok := tx.Get(scope); !ok {
			return notFound(scope)
		}
	}
	return nil
}

func requireParent(tx resource.Tx, id resource.ID) error {
	if len(id.Types) < 2 {
		return nil
	}
	parent := id.Parent()
	if implied(parent) {
		parent = parent.Parent()
	}
	if _, ok := tx.Get(parent); !ok {
		return resource.Errorf(resource.ParentNotFound,
			"Can not perform requested operation on nested resource. Parent resource '%s' not found.", id.Parent().Name())
	}
	return nil
}

// implied reports whether a foreign resource is there whenever the one around it
// is: the services of a storage account, which templates do not mention.
func implied(id resource.ID) bool {
	return strings.EqualFold(id.Name(), "default") && anyFold(id.Type(),
		typeStorageAccount+"/blobServices", typeStorageAccount+"/fileServices", typeStorageAccount+"/queueServices", typeStorageAccount+"/tableServices")
}

func notFound(id resource.ID) error {
	return resource.Errorf(resource.NotFound,
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		id.Type(), strings.Join(id.Names, "/"), id.Group)
}
