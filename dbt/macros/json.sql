{#
    The members of a JSON object as columns of text, behind the relation that has the document.

    columns: names of the members, which become the names of the columns of `alias`.
    A NULL document gives NULLs and keeps its row. T-SQL reads with OPENJSON, as JSON_VALUE ends at 4,000 characters.
#}
{% macro json_members(document, columns, alias) -%}
    {{ return(adapter.dispatch('json_members')(document, columns, alias)) }}
{%- endmacro %}

{% macro default__json_members(document, columns, alias) -%}
    left join lateral json_to_record(cast({{ document }} as json)) as {{ alias }}(
        {%- for column in columns %}"{{ column }}" text{{ ", " if not loop.last }}{% endfor -%}
    ) on true
{%- endmacro %}

{% macro sqlserver__json_members(document, columns, alias) -%}
    outer apply openjson({{ document }}) with (
        {%- for column in columns %}[{{ column }}] nvarchar(max) '$.{{ column }}'{{ ", " if not loop.last }}{% endfor -%}
    ) as {{ alias }}
{%- endmacro %}

{# The text at `index` of a JSON array of short texts. #}
{% macro json_element(document, index) -%}
    {{ return(adapter.dispatch('json_element')(document, index)) }}
{%- endmacro %}

{% macro default__json_element(document, index) -%}
    (cast({{ document }} as json) ->> {{ index }})
{%- endmacro %}

{% macro sqlserver__json_element(document, index) -%}
    json_value({{ document }}, '$[{{ index }}]')
{%- endmacro %}
