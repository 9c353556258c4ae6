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

struct capture {
    void *stream;
    struct graph *graph;
    struct capture *next;
};

static struct capture *captures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct capture **capture_of(void *stream)
{
    struct capture **at = &captures;
    while (*at && (*at)->stream != stream) at = &(*at)->next;
    return at;
}

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

int is_captured(void *stream)
{
    pthread_mutex_lock(&lock);
    int found = *capture_of(stream) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

int ask(void *stream, struct work work)
{
    pthread_mutex_lock(&lock);
    struct capture *capture = *capture_of(stream);
    if (capture) {
        struct node *node = malloc(sizeof *node);
        *node = (struct node){work, NULL};
        *capture->graph->end = node;
        capture->graph->end = &node->next;
        capture->graph->nodes++;
    }
    pthread_mutex_unlock(&lock);
    if (capture) return OK;
    int answer = perform(&work);
    forget(&work);
    return answer;
}

int cuStreamBeginCapture_v2(void *stream, int mode)
{
    if (is_captured(stream)) return INVALID_VALUE;
    struct graph *graph = calloc(1, sizeof *graph);
    struct capture *capture = malloc(sizeof *capture);
    graph->end = &graph->first;
    graph->users = 1;
    pthread_mutex_lock(&lock);
    *capture = (struct capture){stream, graph, captures};
    captures = capture;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuStreamEndCapture(void *stream, void **graph)
{
    pthread_mutex_lock(&lock);
    struct capture **at = capture_of(stream), *capture = *at;
    if (capture) *at = capture->next;
    pthread_mutex_unlock(&lock);
    *graph = capture ? capture->graph : NULL;
    free(capture);
    return *graph ? OK : INVALID_VALUE;
}

int cuStreamIsCapturing(void *stream, int *status)
{
    *status = is_captured(stream);
    return OK;
}

int cuStreamGetCaptureInfo_v3(void *stream, int *status, void *id, void *graph, void *nodes, void *edges, void *number)
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
