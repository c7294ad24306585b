{#
    The body of an import CTE: all rows of a relation, for the steps behind to name.

    PostgreSQL would compute a CTE that is read twice once and keep its rows, without statistics and indexes. An import is therefore written out
    wherever it is read; SQL Server does so always.
#}
{% macro rows_of(relation) -%}{{ return(adapter.dispatch('rows_of')(relation)) }}{%- endmacro %}
{% macro default__rows_of(relation) -%}not materialized (select * from {{ relation }}){%- endmacro %}
{% macro sqlserver__rows_of(relation) -%}(select * from {{ relation }}){%- endmacro %}
