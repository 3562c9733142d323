package arm

import (
	"net/http"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// serveKind serves every operation of every kind.
func (h *Handler) serveKind(rq *request) error {
	p := rq.path
	if p.Tail == "" && !p.Beyond && p.ID.Namespace != "" {
		kind, err := h.kindOf(p.ID.Type(), rq.version)
		if err != nil {
			return err
		}
		return h.serveResource(rq, kind, canonical(p.ID, kind))
	}
	if rq.http.Method == http.MethodPost && !p.Beyond {
		kind, err := h.kindOf(p.ID.Type(), rq.version)
		if err != nil {
			return err
		}
		return h.act(rq, kind, canonical(p.ID, kind))
	}
	typ := p.Namespace + "/" + p.Tail
	if !p.Beyond && len(p.ID.Types) > 0 {
		typ = p.ID.Type() + "/" + p.Tail
	}
	kind, err := h.kindOf(typ, rq.version)
	if err != nil {
		return err
	}
	if rq.http.Method != http.MethodGet {
		return h.methodNotAllowed(rq, http.MethodGet)
	}
	return h.list(rq, kind)
}

func (h *Handler) serveResource(rq *request, kind *resource.Kind, id resource.ID) error {
	if err := checkPlace(kind, id); err != nil {
		return err
	}
	switch rq.http.Method {
	case http.MethodGet, http.MethodHead:
		return h.get(rq, kind, id)
	case http.MethodPut:
		return h.write(rq, kind, id, false)
	case http.MethodPatch:
		return h.write(rq, kind, id, true)
	case http.MethodDelete:
		return h.remove(rq, kind, id)
	default:
		return h.methodNotAllowed(rq, "GET, HEAD, PUT, PATCH, DELETE")
	}
}

// kindOf finds a kind and checks that the api-version knows it.
func (h *Handler) kindOf(typ, version string) (*resource.Kind, error) {
	kind, ok := h.kinds[strings.ToLower(typ)]
	if !ok {
		ns, t, _ := strings.Cut(typ, "/")
		return nil, resource.Errorf(resource.InvalidResourceType,
			"The resource type '%s' could not be found in the namespace '%s' for api version '%s'.", t, ns, version)
	}
	for _, v := range kind.Versions {
		if strings.EqualFold(v, version) {
			return kind, nil
		}
	}
	return nil, resource.Errorf(resource.NoRegisteredProviderFound,
		"No registered resource provider found for API version '%s' for type '%s'. The supported api-versions are '%s'.",
		version, kind.Type, strings.Join(kind.Versions, ", "))
}

// canonical returns the id with the kind's casing of the type.
func canonical(id resource.ID, kind *resource.Kind) resource.ID {
	return id.Scope().Provider(kind.Type, id.Names...)
}

// checkPlace refuses an id of the right type in the wrong place: all kinds so
// far live in a resource group.
func checkPlace(kind *resource.Kind, id resource.ID) error {
	if scope := id.Scope(); scope.Group == "" || scope.Namespace != "" {
		return resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' lives in a resource group; the path '%s' names none.", kind.Type, id)
	}
	return nil
}

// find makes sure that everything around a resource is there.
func (h *Handler) find(tx resource.Tx, id resource.ID, creating bool) error {
	if err := eventgrid.RequireRegistered(tx, id.Subscription); err != nil {
		return err
	}
	if id.Group != "" {
		if _, ok := tx.Get(id.GroupScope()); !ok {
			return resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", id.Group)
		}
	}
	if !creating || len(id.Types) < 2 {
		return nil
	}
	if _, ok := tx.Get(id.Parent()); !ok {
		return resource.Errorf(resource.ParentNotFound,
			"Can not perform requested operation on nested resource. Parent resource '%s' not found.", id.Parent().Name())
	}
	return nil
}

func notFound(id resource.ID) error {
	return resource.Errorf(resource.NotFound,
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		id.Type(), strings.Join(id.Names, "/"), id.Group)
}

func (h *Handler) get(rq *request, kind *resource.Kind, id resource.ID) error {
	if err := h.authorize(rq, kind.Type+"/read", id); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.find(tx, id, false); err != nil {
		return err
	}
	r, ok := tx.Get(id)
	if !ok {
		return notFound(id)
	}
	if rq.http.Method == http.MethodHead {
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	return h.respond(rq, kind, r, http.StatusOK)
}

// write serves PUT and PATCH.
func (h *Handler) write(rq *request, kind *resource.Kind, id resource.ID, patch bool) error {
	if err := h.authorize(rq, kind.Type+"/write", id); err != nil {
		return err
	}
	raw, err := rq.body()
	if err != nil {
		return err
	}
	body, err := decodeBody(raw, patch && kind.FlatPatch)
	if err != nil {
		return err
	}
	var proof any
	if kind.Consult != nil {
		// A dry run finds everything that is wrong before the outside world is
		// bothered; the real run then repeats it inside the transaction.
		draft := &draftTx{readOnly{h.Store}}
		next, old, err := h.build(rq, draft, kind, id, body, patch, nil)
		if err != nil {
			return err
		}
		if proof, err = kind.Consult(rq.http.Context(), next, old); err != nil {
			return err
		}
		if p, ok := proof.(resource.Proof); ok {
			defer p.Forget()
		}
	}
	var written *resource.Resource
	err = h.Store.Commit(rq.http.Context(), func(tx resource.Tx) error {
		next, _, err := h.build(rq, tx, kind, id, body, patch, proof)
		if err != nil {
			return err
		}
		tx.Put(next)
		written = next
		return nil
	})
	if err != nil {
		return err
	}
	status := kind.Status.PutStatus()
	if patch {
		status = kind.Status.PatchStatus()
	}
	return h.respond(rq, kind, written, status)
}

// build makes the new version of a resource and the changes that go with it.
func (h *Handler) build(rq *request, tx resource.Tx, kind *resource.Kind, id resource.ID, body resource.Body, patch bool, proof any) (next, old *resource.Resource, err error) {
	old, exists := tx.Get(id)
	if err := h.find(tx, id, !patch && !exists); err != nil {
		return nil, nil, err
	}
	switch {
	case exists:
		id = old.ID // keeps the casing of creation
	case patch:
		return nil, nil, notFound(id)
	case kind.Service:
		return nil, nil, resource.Invalid("A resource of type '%s' is created by the service on behalf of a partner; '%s' does not exist.", kind.Type, id.Name())
	case kind.Names != nil && !kind.Names.MatchString(id.Name()):
		return nil, nil, resource.Invalid("The name '%s' of the resource of type '%s' is invalid: it must consist of %s.", id.Name(), kind.Type, kind.NameRule)
	}
	next, err = kind.Write(&resource.Write{
		Tx: tx, ID: id, Old: old, Body: body, Patch: patch, Proof: proof, Caller: rq.caller.ObjectID, Now: rq.now,
	})
	return next, old, err
}

// remove serves DELETE. What is not there is deleted already: 204.
func (h *Handler) remove(rq *request, kind *resource.Kind, id resource.ID) error {
	if err := h.authorize(rq, kind.Type+"/delete", id); err != nil {
		return err
	}
	var existed bool
	err := h.Store.Commit(rq.http.Context(), func(tx resource.Tx) error {
		if err := h.find(tx, id, false); err != nil {
			return err
		}
		var r *resource.Resource
		if r, existed = tx.Get(id); !existed {
			return nil
		}
		if err := kind.Delete(&resource.Deletion{Tx: tx, Caller: rq.caller.ObjectID, Now: rq.now}, r); err != nil {
			return err
		}
		for _, a := range tx.List(resource.TypeRoleAssignment, r.ID) {
			tx.Delete(a.ID) // or it would apply to a later resource of the same name
		}
		tx.Delete(r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	status := http.StatusNoContent
	if existed {
		status = kind.Status.DeleteStatus()
	}
	rq.out.WriteHeader(status)
	return nil
}

// act serves POST.
func (h *Handler) act(rq *request, kind *resource.Kind, id resource.ID) error {
	if err := checkPlace(kind, id); err != nil {
		return err
	}
	name := strings.ToLower(rq.path.Tail)
	action, ok := kind.Actions[name]
	if !ok {
		return resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' has no action '%s'.", kind.Type, rq.path.Tail)
	}
	if err := h.authorize(rq, kind.Type+"/"+rq.path.Tail+"/action", id); err != nil {
		return err
	}
	body, err := rq.body()
	if err != nil {
		return err
	}
	var answer any
	run := func(tx resource.Tx) error {
		if err := h.find(tx, id, false); err != nil {
			return err
		}
		r, ok := tx.Get(id)
		if !ok {
			return notFound(id)
		}
		answer, err = action.Do(&resource.Call{Tx: tx, Resource: r, Body: body, Caller: rq.caller.ObjectID, Now: rq.now})
		return err
	}
	if action.Reads {
		err = run(readOnly{h.Store})
	} else {
		err = h.Store.Commit(rq.http.Context(), run)
	}
	if err != nil {
		return err
	}
	if answer != nil {
		writeJSON(rq.out, http.StatusOK, answer)
		return nil
	}
	r, ok := h.Store.Get(id)
	if !ok {
		return notFound(id)
	}
	return h.respond(rq, kind, r, http.StatusOK)
}

func (h *Handler) methodNotAllowed(rq *request, allow string) error {
	rq.out.Header().Set("Allow", allow)
	return resource.Errorf(resource.MethodNotAllowed, "The method '%s' is not allowed on '%s'.", rq.http.Method, rq.http.URL.Path)
}
