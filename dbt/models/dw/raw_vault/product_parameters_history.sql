{{ config(materialized='view') }}

{{ history_of(ref('sat_product_parameters'), 'product_parameters') }}
