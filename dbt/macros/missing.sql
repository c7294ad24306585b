{# What the numbers leave out. #}

{# The tables of ods that each model of ap is made from: pairs of names. #}
{% macro tables_behind_kpis() -%}
    {%- set found = [] -%}
    {%- if execute -%}
    {%- for node in nodes_of_type('model') if node.schema == 'ap' and node.name not in ('kpi', 'missing_rows') -%}
        {%- for table in typed_behind(node) -%}
            {%- do found.append((node.name, table)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- endif -%}
    {{ return(found | sort) }}
{%- endmacro %}

{% macro typed_behind(node) -%}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id.startswith('model.') -%}
        {%- set upstream = node_of(id) -%}
        {%- if kind_of(upstream) == 'typed_changes' -%}
            {%- do found.append(upstream.name) -%}
        {#- A hub has the keys that anything mentions; no number is made of them. -#}
        {%- elif kind_of(upstream) != 'hub' -%}
            {%- do found.extend(typed_behind(upstream)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}

{# The parts of a key, which is a JSON array of texts. #}
{% macro key_parts(document, size) -%}
    {%- set found = [] -%}
    {%- for place in range(size) -%}
        {%- do found.append(collated(json_element(document, place))) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
