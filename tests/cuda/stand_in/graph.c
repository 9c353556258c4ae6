// Graphs: what is asked of a stream that is captured is kept, and done as often as the graph is launched. What a node of it
// does is counted as if it were asked for then, since the device does as much.
#include <pthread.h>
#include <stdlib.h>

#include "stand_in.h"

struct node {
    struct work work;
    struct node *next;
};

struct graph {
    struct node *first, **end;
    size_t nodes;
    // The graph itself, and what was made of it to be launched.
    int users;
};

struct stream {
    // In which what it is asked is kept, while it is captured.
    struct graph *graph;
    int worked;
};

// Of all streams.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int cuStreamCreate(struct stream **stream, unsigned flags) { *stream = calloc(1, sizeof **stream); return OK; }
int cuStreamDestroy_v2(struct stream *stream) { free(stream); return OK; }

static void forget(struct work *work)
{
    if (work->forget) work->forget(work->kept);
}

static int perform(struct work *work)
{
    int answer = launched(work->what);
    if (!answer && work->run) work->run(work->kept);
    return answer;
}

int is_captured(struct stream *stream) { return stream && stream->graph; }

// Whether it was kept.
static int keep(struct stream *stream, struct work work)
{
    pthread_mutex_lock(&lock);
    struct graph *graph = stream->graph;
    if (graph) {
        struct node *node = malloc(sizeof *node);
        *node = (struct node){work, NULL};
        *graph->end = node;
        graph->end = &node->next;
        graph->nodes++;
    } else if (!stream->worked) {
        stream->worked = 1;
        count(STREAMS, 1);
    }
    pthread_mutex_unlock(&lock);
    return graph != NULL;
}

int ask(struct stream *stream, struct work work)
{
    if (stream && keep(stream, work)) return OK;
    int answer = perform(&work);
    forget(&work);
    return answer;
}

int cuStreamBeginCapture_v2(struct stream *stream, int mode)
{
    if (is_captured(stream)) return INVALID_VALUE;
    struct graph *graph = calloc(1, sizeof *graph);
    graph->end = &graph->first;
    graph->users = 1;
    stream->graph = graph;
    return OK;
}

int cuStreamEndCapture(struct stream *stream, struct graph **graph)
{
    *graph = stream->graph;
    stream->graph = NULL;
    return *graph ? OK : INVALID_VALUE;
}

int cuStreamIsCapturing(struct stream *stream, int *status)
{
    *status = is_captured(stream);
    return OK;
}

int cuStreamGetCaptureInfo_v3(struct stream *stream, int *status, void *id, void *graph, void *nodes, void *edges, void *number)
{
    *status = is_captured(stream);
    return OK;
}

int cuGraphGetNodes(struct graph *graph, void **nodes, size_t *count)
{
    size_t at = 0;
    if (nodes)
        for (struct node *node = graph->first; node && at < *count; node = node->next) nodes[at++] = node;
    *count = nodes ? at : graph->nodes;
    return OK;
}

int cuGraphNodeGetType(struct node *node, int *type)
{
    *type = node->work.type;
    return OK;
}

int cuGraphInstantiateWithFlags(void **executable, struct graph *graph, unsigned long long flags)
{
    graph->users++;
    *executable = graph;
    return OK;
}

int cuGraphLaunch(struct graph *graph, void *stream)
{
    int answer = OK;
    count(GRAPHS, 1);
    for (struct node *node = graph->first; node && !answer; node = node->next) answer = perform(&node->work);
    return answer;
}

int cuGraphDestroy(struct graph *graph)
{
    if (--graph->users > 0) return OK;
    for (struct node *node = graph->first; node;) {
        struct node *next = node->next;
        forget(&node->work);
        free(node);
        node = next;
    }
    free(graph);
    return OK;
}

int cuGraphExecDestroy(struct graph *graph) { return cuGraphDestroy(graph); }
