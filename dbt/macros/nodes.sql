{#
    The nodes of the project's graph, as macros read them.

    dbt makes a dictionary of a node each time that `graph` is asked for it, columns and all: a third of a build's time went into that, as every model
    asks for those behind it. Here each is asked for once a run.
#}
{% macro node_of(id) -%}
    {%- set known = graph.setdefault('creditmesh_nodes', {}) -%}
    {%- if id not in known -%}
        {%- do known.update({id: graph.sources[id] if id.startswith('source.') else graph.nodes[id]}) -%}
    {%- endif -%}
    {{ return(known[id]) }}
{%- endmacro %}

{# All nodes of a type: model, test. #}
{% macro nodes_of_type(type) -%}
    {%- set found = [] -%}
    {%- for id in graph.nodes if id.startswith(type ~ '.') -%}
        {%- do found.append(node_of(id)) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
